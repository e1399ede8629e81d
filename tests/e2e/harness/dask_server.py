"""dask-gateway-server as the tests use it, and dask's own client: list clusters, compute on a new one, stop it."""

import secrets
import time

from dask_gateway import Gateway
from dask_gateway.auth import GatewayAuth

from .paths import PEERS, VENV_BIN
from .peer import Peer

# Each client here is closed by a `with`. The original closes once more when it is collected, and raises then.
Gateway.__del__ = lambda self: None

MAX_TOKEN_AGE = 60
"""Seconds."""


class DaskServer(Peer):
    """A running dask-gateway-server behind its own proxy, which takes any user with `password`."""

    NAME = "dask"
    PORTS = 2
    ENDS_WITHIN = 30

    def __init__(self, folder):
        self.password = secrets.token_hex(16)
        super().__init__(folder)

    def _launch(self, api, proxy):
        self.url = f"http://127.0.0.1:{proxy}"
        self.scheduler_address = f"gateway://127.0.0.1:{proxy}"
        environment = {
            "DASK_PORTS": f"{api} {proxy}",
            "DASK_PASSWORD": self.password,
            "DASK_COMMAND": str(VENV_BIN / "dask"),
        }
        command = [VENV_BIN / "dask-gateway-server", "-f", PEERS / "dask_gateway_config.py"]
        return command, environment, f"{self.url}/api/health"

    def client(self, address, auth):
        """dask's client, which reaches the API at `address` and schedulers at this server's own proxy."""
        return Gateway(address, proxy_address=self.scheduler_address, auth=auth)


class Bearer(GatewayAuth):
    """Answers a 401 with a bearer token, which dask's client can't do for JWTs by itself.

    `mint` makes a token. It is called again when the last token is old: tests on a busy machine may outlive it.
    """

    def __init__(self, mint):
        self._mint = mint
        self._minted_at = None

    def pre_request(self, response):
        if self._minted_at is None or time.monotonic() - self._minted_at > MAX_TOKEN_AGE:
            self._token, self._minted_at = self._mint(), time.monotonic()
        return {"Authorization": f"Bearer {self._token}"}, None


def compute_a_sum(client):
    """Starts a cluster, sums the numbers below 1000 on its one worker, stops it, and returns the sum."""
    with client.new_cluster(shutdown_on_close=True) as cluster:
        assert [each.name for each in client.list_clusters()] == [cluster.name]
        cluster.scale(1)
        with cluster.get_client() as workers:
            workers.wait_for_workers(1, timeout=60)
            return workers.submit(sum, range(1000)).result(timeout=60)
