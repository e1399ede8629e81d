"""The authenticator for dask-gateway. In `dask_gateway_config.py`:

    c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
    c.WasmAuthenticator.plugin = "jwt"
    c.WasmAuthenticator.settings = {"issuers": [{"issuer": "https://idp.example", "audiences": ["dask"], "discovery": True}]}

Users' groups and admin reach `c.Backend.cluster_options`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from dask_gateway_server.auth import Authenticator  # type: ignore[import-untyped]
from dask_gateway_server.models import User  # type: ignore[import-untyped]
from traitlets import Bool, Int, List, Unicode, default

from ._portcullis import Chain, PortcullisError, Sessions
from ._rules import unservable
from ._traits import PluginTraits
from .aiohttp import answer_of, apply_decision, request_of

__all__ = ["WasmAuthenticator"]


class WasmAuthenticator(PluginTraits, Authenticator):  # type: ignore[misc]
    """Asks plugins in a sandbox who sent a request.

    A user whose plugin says for how long its decision is valid gets a sealed cookie, so that dask's client sends its
    credentials once in `cache_max_age`. Credentials always take precedence over the cookie, and the cookie ends with what
    the plugin said.
    """

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

    @default("session_secure")
    def _default_session_secure(self) -> bool:
        return bool(self.config.Proxy.get("tls_cert"))

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.check_plugins()

    async def setup(self, app: web.Application) -> None:
        """Loads the plugins. Mistakes in their settings, grants and limits end the server here."""
        self._chain = await asyncio.to_thread(self._load)
        app.on_response_prepare.append(apply_decision)

    def _load(self) -> Chain:
        keys = self.session_keys or [Sessions.generate_key()]
        sessions = Sessions(
            *keys, max_age=float(self.cache_max_age), cookie=self.cookie_name, secure=self.session_secure
        )
        return self.load_plugins(sessions)

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
            return answer_of(refusal, decision)
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
