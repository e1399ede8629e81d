"""The authenticator for dask-gateway. In `dask_gateway_config.py`:

    c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
    c.WasmAuthenticator.plugin = "jwt"
    c.WasmAuthenticator.settings = {"issuers": [{"issuer": "https://idp.example", "audiences": ["dask"], "discovery": True}]}
    c.WasmAuthenticator.grants = {"http": ["https://idp.example"]}

Users' groups and admin reach `c.Backend.cluster_options`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from dask_gateway_server.auth import Authenticator  # type: ignore[import-untyped]
from dask_gateway_server.models import User  # type: ignore[import-untyped]
from traitlets import Bool, Dict, Int, List, TraitError, Unicode, default

from . import _portcullis
from ._portcullis import Chain, Engine, PortcullisError, Sessions
from ._rules import unservable
from .aiohttp import answer_of, apply_decision, request_of

__all__ = ["WasmAuthenticator"]

# Keys of an authenticator that are traits of a single plugin. `log` is no trait, because traitlets' classes have it already.
_KEYS = (
    "settings",
    "grants",
    "limits",
    "sha256",
    "trust",
    "instances",
    "http_ca",
    "http_certificate",
    "http_key",
    "http_headers",
    "http_refresh_floor",
)


class WasmAuthenticator(Authenticator):  # type: ignore[misc]
    """Asks plugins in a sandbox who sent a request.

    A user whose plugin says for how long its decision is valid gets a sealed cookie, so that dask's client sends its
    credentials once in `cache_max_age`. Credentials always take precedence over the cookie, and the cookie ends with what
    the plugin said.
    """

    plugin = Unicode(
        help="""The plugin: the name of a built-in one, such as "jwt", or the path of a file, which has a slash or ends in
        ".wasm". For several, see `authenticators`.""",
        config=True,
    )
    settings = Dict(help="The settings of the plugin. It checks them itself.", config=True)
    grants = Dict(
        help="""What the plugin may see and reach: headers, cookies, query, http, private, client_certificate. By default
        it sees the Authorization header and reaches no server.""",
        config=True,
    )
    limits = Dict(
        help="""What a call of the plugin may cost: deadline, memory, concurrency, cache, rate, breaker,
        reuse_decisions.""",
        config=True,
    )
    sha256 = Unicode(
        None, allow_none=True, help="The SHA-256 that the plugin's file must have, as hex digits.", config=True
    )
    trust = List(
        Unicode(),
        default_value=None,
        allow_none=True,
        help="The keys of which one must have signed the plugin's file. By default it needs no signature.",
        config=True,
    )
    instances = Dict(
        default_value=None,
        allow_none=True,
        help="Which instances of the plugin are kept for later requests: keep, requests, age. By default, none.",
        config=True,
    )
    http_ca = Unicode(
        None,
        allow_none=True,
        help="A file with the authorities that the plugin's requests to other servers trust. By default, the system's.",
        config=True,
    )
    http_certificate = Unicode(
        None, allow_none=True, help="A file with the certificate of the plugin's requests.", config=True
    )
    http_key = Unicode(None, allow_none=True, help="The file of its key.", config=True)
    http_headers = Dict(
        default_value=None,
        allow_none=True,
        help="""Headers that are added to the plugin's requests, for each server a dict. Their values are "file:PATH" or
        "env:NAME", and the plugin never sees them.""",
        config=True,
    )
    http_refresh_floor = Unicode(
        None,
        allow_none=True,
        help="The shortest time between two forced refreshes of a stored response of a server. By default, 5s.",
        config=True,
    )
    authenticators = List(
        Dict(),
        help="""Several plugins instead of one, in the order in which they are asked: dicts with the keys name, plugin, log,
        and those of a single plugin.""",
        config=True,
    )
    session_keys = List(
        Unicode(),
        help="""The keys of the cookie: 32 bytes as hex digits, one text for each. The first seals, all open. Servers that
        share them accept each other's cookies. By default a key is made at the start, and cookies end with the server.""",
        config=True,
    )
    session_secure = Bool(
        help="Whether clients send the cookie over https only. By default, if `c.Proxy.tls_cert` is set.",
        config=True,
    )
    proxy_hops = Int(
        1,
        min=0,
        help="""How many proxies before the server add an address to X-Forwarded-For. dask-gateway's own proxy is one. With
        0, the client's address is that of the connection.""",
        config=True,
    )
    cache_directory = Unicode(
        help="Where compiled plugins are kept, for a faster start. By default they are compiled at each start.",
        config=True,
    )

    @default("session_secure")
    def _default_session_secure(self) -> bool:
        return bool(self.config.Proxy.get("tls_cert"))

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._refuse_unknown_traits()
        if bool(self.plugin) == bool(self.authenticators):
            raise TraitError(f"{type(self).__name__}: set either plugin or authenticators")
        for index, entry in enumerate(self.authenticators):
            if not entry.get("plugin"):
                raise TraitError(f"{type(self).__name__}.authenticators[{index}]: the key \"plugin\" is missing")

    def _refuse_unknown_traits(self) -> None:
        known = list(type(self).class_traits(config=True))
        for section in (kind.__name__ for kind in type(self).__mro__):
            for key in self.config.get(section, {}):
                if key not in known:
                    raise TraitError(f"{section}.{key}: {_portcullis._unknown_key(key, known)}")

    async def setup(self, app: web.Application) -> None:
        """Loads the plugins. Mistakes in their settings, grants and limits end the server here."""
        self._chain = await asyncio.to_thread(self._load)
        app.on_response_prepare.append(apply_decision)

    def _load(self) -> Chain:
        if self.cache_directory:
            Engine(cache_directory=self.cache_directory)
        if self.plugin:
            single = {key: getattr(self, key) for key in _KEYS}
            given = {key: value for key, value in single.items() if value is not None}
            authenticators = [_authenticator(type(self).__name__, {"plugin": self.plugin, **given})]
        else:
            authenticators = [
                _authenticator(f"{type(self).__name__}.authenticators[{index}]", entry)
                for index, entry in enumerate(self.authenticators)
            ]
        keys = self.session_keys or [Sessions.generate_key()]
        sessions = Sessions(
            *keys, max_age=float(self.cache_max_age), cookie=self.cookie_name, secure=self.session_secure
        )
        return Chain(*authenticators, sessions=sessions)

    @default("cookie_name")
    def _default_cookie_name(self) -> str:
        return "dask-gateway"

    async def authenticate_and_handle(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Called by dask-gateway about each request of a user."""
        try:
            decision = await self._chain.decide(request_of(request, self._client_address(request)))
        except PortcullisError as error:
            return answer_of(unservable(error))
        if decision.user is None:
            self.log.info("refused: %s", decision)
            refusal = decision.refusal
            assert refusal is not None
            return answer_of(refusal)
        request["portcullis"] = decision
        request["user"] = User(decision.user.name, decision.user.groups, decision.user.admin)
        return await handler(request)

    def _client_address(self, request: web.Request) -> str | None:
        """The address that the outermost of the trusted proxies saw. What a client writes itself stands before it."""
        if self.proxy_hops == 0:
            return None
        fields = ",".join(request.headers.getall("X-Forwarded-For", ()))
        addresses = [address.strip() for address in fields.split(",") if address.strip()]
        return addresses[-self.proxy_hops] if len(addresses) >= self.proxy_hops else None


def _authenticator(place: str, entry: dict[str, Any]) -> _portcullis.Authenticator:
    keys = dict(entry)
    plugin = keys.pop("plugin")
    name = keys.pop("name", None) or plugin.rpartition("/")[2].removesuffix(".wasm")
    return _portcullis.Authenticator._at(place, name, plugin, keys)
