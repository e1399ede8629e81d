"""The authenticator for JupyterHub, which logs in every user that the plugins know. In `jupyterhub_config.py`:

    c.JupyterHub.authenticator_class = "portcullis.jupyterhub.WasmAuthenticator"
    c.WasmAuthenticator.plugin = "jwt"
    c.WasmAuthenticator.settings = {"issuers": [{"issuer": "https://idp.example", "audiences": ["hub"], "discovery": True}]}
"""

from __future__ import annotations

from typing import Any

from jupyterhub.auth import Authenticator  # type: ignore[import-untyped]
from jupyterhub.handlers.base import BaseHandler  # type: ignore[import-untyped]
from jupyterhub.utils import url_path_join  # type: ignore[import-untyped]
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError
from traitlets import Bool, default

from . import prometheus
from ._portcullis import Decision, PortcullisError, Request, Response
from ._rules import Unservable, unservable
from ._traits import PluginTraits

__all__ = ["WasmAuthenticator"]

_LOGIN = "portcullis-login"


class WasmAuthenticator(PluginTraits, Authenticator):  # type: ignore[misc]
    """Asks plugins in a sandbox who sent the request to log in. A browser gets their challenges, such as that of Kerberos.

    Every user that they know may log in, unless JupyterHub's own `allowed_users` or `blocked_users` say something else.
    After that, JupyterHub's login lasts as long as its own settings say.
    """

    manage_admins = Bool(
        False,
        help="""Whether the plugins decide at each login who is an administrator, beside `admin_users`. By default, what they
        say of it isn't used.""",
        config=True,
    )

    @default("auto_login")
    def _default_auto_login(self) -> bool:
        return True

    @default("allow_all")
    def _default_allow_all(self) -> bool:
        return not (self.allowed_users or self.allow_existing_users)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.check_plugins()
        # JupyterHub exports this registry at /hub/metrics.
        self._chain = self.load_plugins(metrics=prometheus.metrics())

    def login_url(self, base_url: str) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Where a browser is led to log in."""
        return str(url_path_join(base_url, _LOGIN))

    # Its type there is what a list with another class happens to have.
    def get_handlers(self, app: Any) -> list[tuple[str, type[BaseHandler]]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Called by JupyterHub at its start."""
        return [(f"/{_LOGIN}", _LoginHandler)]

    # Its type there is that of a method without a body.
    async def authenticate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, handler: Any, data: Any
    ) -> dict[str, Any] | None:
        """Called by JupyterHub about a login. What a form says isn't used, only the request itself."""
        try:
            decision = await self._chain.decide(request_of(handler.request))
        except PortcullisError as error:
            handler.portcullis = unservable(error)
            return None
        handler.portcullis = decision
        user = decision.user
        if user is None:
            self.log.info("refused: %s", decision)
            return None
        attributes: dict[str, list[str]] = {}
        for name, value in user.attributes:
            attributes.setdefault(name, []).append(value)
        model: dict[str, Any] = {
            "name": user.name,
            "auth_state": {"authenticator": user.authenticator, "groups": user.groups, "attributes": attributes},
        }
        if self.manage_admins:
            model["admin"] = user.admin or self.normalize_username(user.name) in self.admin_users
        if self.manage_groups:
            model["groups"] = user.groups
        return model


class _LoginHandler(BaseHandler):  # type: ignore[misc]
    """The page that logs in. It shows only why somebody isn't."""

    portcullis: Decision | Unservable

    async def get(self) -> None:
        user = await self.login_user()
        answer = self.portcullis
        if isinstance(answer, Decision):
            self._add(answer.apply([]))
            if answer.refusal is not None:
                self._refuse(answer.refusal, is_page=answer.steps[-1].verdict == "respond")
                return
        else:
            self._refuse(answer, is_page=False)
            return
        if user is None:
            raise HTTPError(403, "You are known, but you may not use this hub")
        self._jupyterhub_user = user
        self.redirect(str(self.get_next_url(user)))

    def _refuse(self, refusal: Response | Unservable, is_page: bool) -> None:
        self.set_status(refusal.status, refusal.reason)
        if is_page:
            self._add(refusal.headers)
            self.finish(refusal.body)
            return
        self._add([field for field in refusal.headers if field[0] != "content-type"])
        self.write_error(refusal.status)
        self.finish()

    def _add(self, fields: list[tuple[str, str]]) -> None:
        for name in {name for name, _ in fields if name != "set-cookie"}:
            self.clear_header(name)
        for name, value in fields:
            self.add_header(name, value)


def request_of(request: HTTPServerRequest) -> Request:
    """The request of tornado's server."""
    path, mark, query = (request.uri or "").partition("?")
    return Request(
        request.method or "",
        path,
        query=query if mark else None,
        scheme=request.protocol,
        headers=list(request.headers.get_all()),
        client_address=request.remote_ip or None,
    )
