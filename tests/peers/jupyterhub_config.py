"""A JupyterHub on 127.0.0.1 for the tests, behind a real configurable-http-proxy.

alice and carol may use the service `dask-gateway`, bob may not; the service `etl` may, `stranger` may not. The service
`minter` is the tests' own hand: it makes and revokes tokens over the hub's REST API.
"""

import os

from traitlets.config import get_config

c = get_config()
public, api, proxy_api = os.environ["HUB_PORTS"].split()

c.JupyterHub.bind_url = f"http://127.0.0.1:{public}/"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{api}"
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.pid_file = "hub.pid"
c.ConfigurableHTTPProxy.command = [os.environ["HUB_PROXY"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy_api}"
c.ConfigurableHTTPProxy.auth_token = os.urandom(32).hex()
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {"alice", "bob", "carol", "user:odd"}
c.Authenticator.admin_users = {"root-admin"}
c.JupyterHub.spawner_class = "simple"

ACCESS = "access:services!service=dask-gateway"
SERVICES = ["dask-gateway", "etl", "stranger", "minter"]
c.JupyterHub.services = [{"name": name, "api_token": os.environ[f"TOKEN_{name}"]} for name in SERVICES]
# People log in to the gateway through the hub, as docs/dask-gateway.md says.
c.JupyterHub.services[0] |= {
    "oauth_no_confirm": True,
    "oauth_redirect_uri": "https://gateway.example/.portcullis/login/hub/callback",
}
c.JupyterHub.load_groups = {"staff": {"users": ["alice", "bob"]}, "ml": {"users": ["alice"]}}
c.JupyterHub.load_roles = [
    {"name": "gateway-users", "scopes": [ACCESS], "users": ["alice", "carol", "user:odd"], "services": ["etl"]},
    {"name": "minter", "scopes": ["admin:users", "tokens"], "services": ["minter"]},
]
