"""dask-gateway-server as the tests use it, and dask's own client: list clusters, compute on a new one, stop it."""

import os
import secrets

import requests
from dask_gateway import Gateway
from dask_gateway.auth import GatewayAuth

from .paths import PEERS, VENV_BIN
from .process import Child, with_free_ports

# Each client here is closed by a `with`. The original closes once more when it is collected, and raises then.
Gateway.__del__ = lambda self: None


class DaskServer:
    """A running dask-gateway-server behind its own proxy, which takes any user with `password`."""

    def __init__(self, folder):
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.child = with_free_ports(2, self._start)

    def _start(self, api, proxy):
        self.url = f"http://127.0.0.1:{proxy}"
        self.scheduler_address = f"gateway://127.0.0.1:{proxy}"
        environment = os.environ | {
            "DASK_PORTS": f"{api} {proxy}",
            "DASK_PASSWORD": self.password,
            "DASK_COMMAND": str(VENV_BIN / "dask"),
        }
        command = [VENV_BIN / "dask-gateway-server", "-f", PEERS / "dask_gateway_config.py"]
        child = Child(command, self.folder / f"dask-{proxy}.log", env=environment, cwd=self.folder)
        child.wait_until(self._answers, "the API answers through the proxy", seconds=60)
        return child

    def _answers(self):
        try:
            return requests.get(f"{self.url}/api/health", timeout=2).ok
        except requests.ConnectionError:
            return False

    def client(self, address, auth):
        """dask's client, which reaches the API at `address` and schedulers at this server's own proxy."""
        return Gateway(address, proxy_address=self.scheduler_address, auth=auth)

    def stop(self):
        self.child.stop(seconds=30)


class Bearer(GatewayAuth):
    """Answers a 401 with a bearer token: what dask's client lacks for JWTs, in the three lines that it takes."""

    def __init__(self, token):
        self.token = token

    def pre_request(self, response):
        return {"Authorization": f"Bearer {self.token}"}, None


def compute_a_sum(client):
    """Starts a cluster, sums the numbers below 1000 on its one worker, stops it, and returns the sum."""
    with client.new_cluster(shutdown_on_close=True) as cluster:
        assert [each.name for each in client.list_clusters()] == [cluster.name]
        cluster.scale(1)
        with cluster.get_client() as workers:
            workers.wait_for_workers(1, timeout=60)
            return workers.submit(sum, range(1000)).result(timeout=60)
