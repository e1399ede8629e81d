"""A dask-gateway-server that authenticates users itself, by the authenticator of the Python package."""

from dask_gateway import Gateway

from . import python_package
from .in_process import InProcess
from .paths import PEERS, VENV_BIN


class DaskInProcess(InProcess):
    """A running server."""

    NAME = "dask"
    PORTS = 2
    ENDS_WITHIN = 30

    def _launch(self, api, proxy):
        self.url = f"http://127.0.0.1:{proxy}"
        self.api_url = f"http://127.0.0.1:{api}"
        command, environment = command_of(self.config, api, proxy)
        return command, environment, f"{self.url}/api/health"

    def client(self, auth):
        return Gateway(self.url, auth=auth)


def command_of(config, api, proxy):
    """The command of a server, and what its environment has more than the tests'."""
    environment = {
        "DASK_PORTS": f"{api} {proxy}",
        "DASK_COMMAND": str(VENV_BIN / "dask"),
        "DASK_AUTHENTICATOR": str(config),
        "PYTHONPATH": str(python_package.folder()),
    }
    return [VENV_BIN / "dask-gateway-server", "-f", PEERS / "dask_in_process_config.py"], environment
