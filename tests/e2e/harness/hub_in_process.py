"""A JupyterHub whose users are known to the authenticator of the Python package."""

import requests

from . import python_package
from .client import send
from .paths import PEERS, VENV_BIN
from .peer import Peer


class HubInProcess(Peer):
    """A running hub with its proxy. `config` is what an operator writes, the lines about `WasmAuthenticator`."""

    NAME = "hub"
    PORTS = 3

    def __init__(self, folder, config):
        folder.mkdir(exist_ok=True)
        self.config = folder / "authenticator.py"
        self.config.write_text(config + f'\nc.WasmAuthenticator.cache_directory = "{python_package.CACHE}"\n')
        super().__init__(folder)

    def _launch(self, public, api, proxy_api):
        self.url = f"http://127.0.0.1:{public}"
        command, environment = command_of(self.config, public, api, proxy_api)
        # Its pages ask for a login, with whatever challenge.
        return command, environment, f"{self.url}/hub/health"

    def send(self, target, headers=(), method="GET"):
        return send(self.url, target, headers, method)

    def browser(self, **headers):
        """A client that keeps cookies and follows redirects."""
        session = requests.Session()
        session.headers.update(headers)
        return session

    def log(self):
        return self.child.output()


def command_of(config, public, api, proxy_api):
    """The command of a hub, and what its environment has more than the tests'."""
    environment = {
        "HUB_PORTS": f"{public} {api} {proxy_api}",
        "HUB_PROXY": str(PEERS / "node_modules" / ".bin" / "configurable-http-proxy"),
        "HUB_AUTHENTICATOR": str(config),
        "PYTHONPATH": str(python_package.folder()),
    }
    return [VENV_BIN / "jupyterhub", "-f", PEERS / "hub_in_process_config.py"], environment
