"""Tests of plugins: requests to a component, without a server.

    from portcullis.testing import Plugin

    def test_a_password_lets_its_user_in():
        plugin = Plugin("simple", settings={"password": "secret"})
        assert plugin.ask(headers={"Authorization": "Basic YWxpY2U6c2VjcmV0"}).user.name == "alice"

An authorizer is asked about requests of made-up users:

    from portcullis.testing import Policy

    def test_only_writers_write():
        policy = Policy("writers.wasm", settings={"group": "writers"})
        assert policy.ask("PUT", user={"name": "alice", "groups": ["writers"]}).is_permitted

Files of cases for `portcullis plugin test` need no Python.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._portcullis import Authenticator, Authorizer, Chain, Component, Decision, Request, _PlayedServers

__all__ = ["Call", "Plugin", "Policy", "Ruling"]


@dataclass(frozen=True)
class Call:
    """A request of a plugin to a server that is played."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    """Pairs of a name in small letters and a value."""
    body: bytes
    is_answered: bool
    """Whether the server has a response for it. If not, the plugin got 404."""

    def header(self, name: str) -> str | None:
        """The value of the first header field of this name. `None` if there is none."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def __repr__(self) -> str:
        """Without query, headers and body, which may have secrets."""
        return f"<Call {self.method} {self.url.partition('?')[0]}>"


class Plugin:
    """A plugin that is asked about requests, with the settings, grants and limits that it would have in a server.

    `plugin` is a `Component`, a path, the name of a built-in plugin, or bytes; the keywords are those of `Authenticator`.

    `servers` are played for it: dicts with the keys of `[[servers]]` in a file of `portcullis plugin test`, such as
    `{"url": "https://id.example", "responses": [{"path": "/jwks", "json": {"keys": []}}]}`. They need the grant in `grants.http`
    as in service. Without any, its requests go over the network.

    All requests are to one authenticator, so that it may reuse what it knows. A new `Plugin` knows nothing.
    """

    def __init__(
        self,
        plugin: Component | str | os.PathLike[str] | bytes,
        *,
        servers: Sequence[Mapping[str, Any]] = (),
        name: str = "plugin",
        **keys: Any,
    ) -> None:
        self._servers = _PlayedServers([dict(server) for server in servers])
        self.authenticator: Authenticator = self._servers.authenticator(name, plugin, keys)
        self._chain = Chain(self.authenticator)
        self.calls: list[Call] = []
        """What the servers were asked for the last decision."""

    def ask(self, method: str = "GET", path: str = "/", **request: Any) -> Decision:
        """The plugin's decision about a request. The keywords are those of `Request`."""
        decision = self._chain.decide_blocking(Request(method, path, **request))
        self.calls = [Call(*call) for call in self._servers.take_calls()]
        return decision

    def __repr__(self) -> str:
        return f"<Plugin {self.authenticator.name!r}>"


@dataclass(frozen=True)
class Ruling:
    """What an authorizer said about a request."""

    status: int
    """The status of the response. It is 200 if the request is permitted: the application decides then."""
    verdict: str
    """The word in the audit log: `permit`, `forbid`, `hide`, `respond`, `unavailable`, `fail` or `turned_away`."""
    why: str
    """The verdict and its reason, for the operator."""
    attributes: list[tuple[str, str]]
    """Pairs of name and value that come with a permission."""
    reads: list[str]
    """What the authorizer read of the request."""

    @property
    def is_permitted(self) -> bool:
        """Whether the user may make the request."""
        return self.verdict == "permit"


class Policy:
    """An authorizer that is asked about requests of made-up users. `plugin`, `servers` and the keywords are as those of `Plugin`."""

    def __init__(
        self,
        plugin: Component | str | os.PathLike[str] | bytes,
        *,
        servers: Sequence[Mapping[str, Any]] = (),
        name: str = "policy",
        **keys: Any,
    ) -> None:
        self._servers = _PlayedServers([dict(server) for server in servers])
        self.authorizer: Authorizer = self._servers.authorizer(name, plugin, keys)
        self.calls: list[Call] = []
        """What the servers were asked for the last ruling."""

    def ask(self, method: str = "GET", path: str = "/", *, user: Mapping[str, Any] | None = None, **request: Any) -> Ruling:
        """What the authorizer says about a request.

        `user` has the keys of `user` in a file of cases: `name`, `groups`, `admin`, `attributes`, `authenticator`. `None` for a
        request without credentials on a page that is also for visitors. The other keywords are those of `Request`.
        """
        made_up = None if user is None else dict(user)
        ruling = Ruling(*_PlayedServers.rule(self.authorizer, Request(method, path, **request), made_up))
        self.calls = [Call(*call) for call in self._servers.take_calls()]
        return ruling

    def __repr__(self) -> str:
        return f"<Policy {self.authorizer.name!r}>"
