"""dask-gateway behind Portcullis: it takes the user from headers, if the request has the shared secret."""

import hmac
from pathlib import Path
from urllib.parse import unquote

from dask_gateway_server.auth import Authenticator, unauthorized
from dask_gateway_server.models import User
from traitlets import Bytes


class PortcullisAuthenticator(Authenticator):
    """Takes the user's name, groups and administrator flag from Portcullis.

    Portcullis authenticates every request, so there is no cookie here. A cookie could outlive the user that it was made
    for, and would take precedence over the headers.
    """

    secret = Bytes(help="The secret that Portcullis sends as X-Portcullis-Secret.", config=True)

    async def authenticate_and_handle(self, request, handler):
        request["user"] = self.user(request.headers)
        return await handler(request)

    def user(self, headers):
        sent = [value.encode("utf-8", "surrogateescape") for value in headers.getall("X-Portcullis-Secret", [])]
        names = headers.getall("X-Forwarded-User", [])
        if len(sent) != 1 or len(names) != 1 or not self.secret or not hmac.compare_digest(sent[0], self.secret):
            raise unauthorized("Portcullis")
        groups = headers.get("X-Forwarded-Groups", "")
        return User(
            names[0],
            groups=[unquote(group) for group in groups.split(",") if group],
            admin=headers.get("X-Forwarded-Admin") == "true",
        )


c = get_config()  # noqa: F821 (dask-gateway gives it to its configuration files)
c.DaskGateway.authenticator_class = PortcullisAuthenticator
c.PortcullisAuthenticator.secret = Path("secrets/dask-gateway").read_bytes().strip()

# Only Portcullis connects to these addresses. It serves TLS to the outside, so they don't need it.
c.DaskGateway.address = "127.0.0.1:8001"
c.Proxy.address = "127.0.0.1:8786"

# Schedulers report to the same address that clients use.
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.LocalBackend"
c.Backend.api_url = "https://gateway.example/api"
