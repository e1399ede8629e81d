"""Tests of plugins: requests to a component, without a server.

    from portcullis.testing import Plugin

    def test_a_password_lets_its_user_in():
        plugin = Plugin("simple", settings={"password": "secret"})
        assert plugin.ask(headers={"Authorization": "Basic YWxpY2U6c2VjcmV0"}).user.name == "alice"

Files of cases for `portcullis plugin test` need no Python.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._portcullis import Authenticator, Chain, Component, Decision, Request, _PlayedServers

__all__ = ["Call", "Plugin"]


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
