"""A dask-gateway-server that authenticates users itself, by the authenticator of the Python package."""

import sys

from dask_gateway import Gateway

from . import python_package
from .client import send
from .paths import PEERS, VENV_BIN
from .peer import Peer


class DaskInProcess(Peer):
    """A running server. `config` is what an operator writes, the lines about `WasmAuthenticator`."""

    NAME = "dask"
    PORTS = 2
    ENDS_WITHIN = 30

    def __init__(self, folder, config):
        folder.mkdir(exist_ok=True)
        self.config = folder / "authenticator.py"
        self.config.write_text(config + f'\nc.WasmAuthenticator.cache_directory = "{python_package.CACHE}"\n')
        super().__init__(folder)

    def _launch(self, api, proxy):
        self.url = f"http://127.0.0.1:{proxy}"
        self.api_url = f"http://127.0.0.1:{api}"
        command, environment = command_of(self.config, api, proxy)
        return command, environment, f"{self.url}/api/health"

    def client(self, auth):
        return Gateway(self.url, auth=auth)

    def send(self, target, headers=(), method="GET"):
        return send(self.url, target, headers, method)

    def log(self):
        return self.child.output()


def command_of(config, api, proxy):
    """The command of a server, and what its environment has more than the tests'."""
    environment = {
        "DASK_PORTS": f"{api} {proxy}",
        "DASK_COMMAND": str(VENV_BIN / "dask"),
        "DASK_AUTHENTICATOR": str(config),
        "PYTHONPATH": str(python_package.folder()),
    }
    return [sys.executable, "-m", "dask_gateway_server", "-f", PEERS / "dask_in_process_config.py"], environment
