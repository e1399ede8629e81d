"""What authorizers in Python share: they say whether a user may make a request.

Copy this file beside your `app.py` and `portcullis.py`, and build with the world `authorizer-plugin`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from componentize_py_types import Err
from portcullis import Challenge, Request, Response, User, configurable
from wit_world import exports
from wit_world.exports.authorizer import (
    Denial_Forbidden,
    Denial_Hidden,
    Denial_Respond,
    Denial_Unavailable,
    Permit,
    Principal,
)

__all__ = [
    "AuthorizerPlugin", "Permit", "Principal", "export_authorizer", "forbidden", "hidden", "is_in", "is_safe", "permit", "respond",
    "unavailable",
]  # fmt: skip


class AuthorizerPlugin(Protocol):
    """A plugin that says whether a user may make a request. A class that names it as its base has the function that it doesn't
    write itself."""

    def authorize(self, request: Request, principal: Principal) -> Permit:
        """Permits a request of this user, or raises a denial."""
        ...

    def authorize_anonymous(self, request: Request) -> Permit:
        """The same for a request without a user, on a route that accepts those. By default it is denied."""
        raise forbidden("nobody is logged in")


S = TypeVar("S")


def export_authorizer(
    plugin: Callable[[S], AuthorizerPlugin], settings: type[S]
) -> tuple[type[exports.Plugin], type[exports.Authorizer]]:
    """The classes that componentize-py looks for: `Plugin, Authorizer = export_authorizer(MyPolicy, MySettings)`."""
    exported, configured = configurable(plugin, settings)

    class Authorizer(exports.Authorizer):
        def authorize(self, request: Request, principal: Principal | None) -> Permit:
            if principal is None:
                return configured[0].authorize_anonymous(request)
            return configured[0].authorize(request, principal)

    return exported, Authorizer


def permit(*, valid_for: float | None = None, attributes: Mapping[str, str] | None = None) -> Permit:
    """Permits the request. `valid_for` is how many seconds the gateway may reuse this for the same user and the same answers to
    what was asked; fractions are cut off. The attributes, at most 16, are facts for the application."""
    seconds = None if valid_for is None else max(0, min(int(valid_for), 0xFFFF_FFFF))
    return Permit(seconds, list((attributes or {}).items()))


def forbidden(reason: str, challenge: Challenge | None = None) -> Err[Denial_Forbidden]:
    """To be raised: the user may not make this request: 403. The reason is for the operator's log."""
    return Err(Denial_Forbidden((reason, challenge)))


def hidden(reason: str) -> Err[Denial_Hidden]:
    """To be raised: as if what the request is for weren't there: 404."""
    return Err(Denial_Hidden(reason))


def unavailable(reason: str) -> Err[Denial_Unavailable]:
    """To be raised: this authorizer can't decide now, for example because a server that it asks is down: 503."""
    return Err(Denial_Unavailable(reason))


def respond(status: int, headers: Iterable[tuple[str, bytes]] = (), body: bytes = b"") -> Err[Denial_Respond]:
    """To be raised: the client gets this response."""
    return Err(Denial_Respond(Response(status, list(headers), body)))


def is_safe(request: Request) -> bool:
    """Whether the method is one by which a client only reads (RFC 9110, section 9.2.1)."""
    return request.method() in ("GET", "HEAD", "OPTIONS", "TRACE")


def is_in(user: User, group: str) -> bool:
    """Whether the user is in a group of this name."""
    return group in user.groups
