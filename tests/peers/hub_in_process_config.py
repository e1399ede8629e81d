"""A JupyterHub on 127.0.0.1 for the tests, behind a real configurable-http-proxy. Who its users are, it finds out as a file
says that the tests write."""

import os
from pathlib import Path

from traitlets.config import get_config

c = get_config()
public, api, proxy_api = os.environ["HUB_PORTS"].split()

c.JupyterHub.bind_url = f"http://127.0.0.1:{public}/"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{api}"
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.pid_file = "hub.pid"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.authenticate_prometheus = False
c.ConfigurableHTTPProxy.command = [os.environ["HUB_PROXY"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy_api}"
c.ConfigurableHTTPProxy.auth_token = os.urandom(32).hex()
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"

exec(Path(os.environ["HUB_AUTHENTICATOR"]).read_text())
