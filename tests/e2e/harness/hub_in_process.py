"""A JupyterHub whose users are known to the authenticator of the Python package."""

import requests

from . import python_package
from .in_process import InProcess
from .paths import PEERS, VENV_BIN


class HubInProcess(InProcess):
    """A running hub with its proxy."""

    NAME = "hub"
    PORTS = 3

    def _launch(self, public, api, proxy_api):
        self.url = f"http://127.0.0.1:{public}"
        command, environment = command_of(self.config, public, api, proxy_api)
        # Its pages ask for a login, with whatever challenge.
        return command, environment, f"{self.url}/hub/health"

    def browser(self, **headers):
        """A client that keeps cookies and follows redirects."""
        session = requests.Session()
        session.headers.update(headers)
        return session


def command_of(config, public, api, proxy_api):
    """The command of a hub, and what its environment has more than the tests'."""
    environment = {
        "HUB_PORTS": f"{public} {api} {proxy_api}",
        "HUB_PROXY": str(PEERS / "node_modules" / ".bin" / "configurable-http-proxy"),
        "HUB_AUTHENTICATOR": str(config),
        "PYTHONPATH": str(python_package.folder()),
    }
    return [VENV_BIN / "jupyterhub", "-f", PEERS / "hub_in_process_config.py"], environment
