"""Which chain protects which path: what the middleware for ASGI, WSGI and aiohttp have in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ._portcullis import Chain, Decision, PortcullisError, RequestError

log = logging.getLogger("portcullis")


@dataclass(frozen=True)
class Visitors:
    """A chain for paths that also serve visitors without credentials. Wrong credentials are refused."""

    chain: Chain


Rule: TypeAlias = Chain | Visitors | None
"""What protects a path: a chain, `Visitors` of a chain, or `None` for a path that is public."""

Protection: TypeAlias = Rule | Mapping[str, Rule]
"""A rule for all paths, or a rule for each path and what is below it."""


class Unservable(Exception):
    """The answer to a request that no chain can be asked about."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        self.status, self.reason = status, reason
        self.body = f'{{"error":"{text}"}}'.encode()
        self.headers = [("cache-control", "no-store"), ("content-type", "application/json")]
        if status == 503:
            self.headers.append(("retry-after", "5"))


class Rules:
    """Rules by path. The longest path wins; one that no rule has is refused."""

    def __init__(self, protection: Protection) -> None:
        if isinstance(protection, Mapping):
            table = dict(protection)
            wrong = [path for path in table if not path.startswith("/")]
            if wrong or not table:
                raise ValueError(f"rules are for paths, which begin with a slash: {wrong}" if wrong else "there are no rules")
        else:
            table = {"/": protection}
        for path, rule in table.items():
            if rule is not None and not isinstance(rule, (Chain, Visitors)):
                raise TypeError(f"the rule for {path} must be a Chain, Visitors or None, not {type(rule).__name__}")
        self._by_length = sorted(table.items(), key=lambda entry: len(entry[0]), reverse=True)
        self._several = len(table) > 1

    def rule(self, path: str) -> Rule:
        """The rule for a path, percent-decoded as the application sees it.

        A path that programs resolve in different ways has no rule of its own: it could pass by the rule of one path and be
        served as another.
        """
        if self._several and _ambiguous(path):
            raise Unservable(400, "Bad Request", "The path can be read in two ways")
        for prefix, rule in self._by_length:
            if path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/"):
                return rule
        raise Unservable(403, "Forbidden", "Forbidden")


def for_visitors(rule: Chain | Visitors) -> bool:
    """Whether requests without credentials are served, too."""
    return isinstance(rule, Visitors)


def served(rule: Chain | Visitors, decision: Decision) -> bool:
    """Whether the application serves the request."""
    return decision.user is not None or (for_visitors(rule) and decision.lacks_credentials)


def chain_of(rule: Chain | Visitors) -> Chain:
    return rule.chain if isinstance(rule, Visitors) else rule


def unservable(error: PortcullisError) -> Unservable:
    """The answer when no decision can be made: the request is refused."""
    if isinstance(error, RequestError):
        return Unservable(400, "Bad Request", "The request is malformed")
    log.error("a request is refused: %s", error)
    return Unservable(503, "Service Unavailable", "Authentication is unavailable")


def _ambiguous(path: str) -> bool:
    segments = path.split("/")[1:]
    dots = any(segment.split(";")[0] in (".", "..") for segment in segments)
    return not path.startswith("/") or dots or "" in segments[:-1] or "\\" in path or "\0" in path or "%" in path
