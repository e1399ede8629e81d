"""A dask-gateway-server on 127.0.0.1 for the tests. Who its users are, it finds out as a file says that the tests write."""

import os
from pathlib import Path

from traitlets.config import get_config

c = get_config()
api, proxy = os.environ["DASK_PORTS"].split()

c.DaskGateway.address = f"127.0.0.1:{api}"
c.Proxy.address = f"127.0.0.1:{proxy}"
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"

# dask's own commands by their full path: this virtual environment need not be on PATH.
dask = os.environ["DASK_COMMAND"]
c.ClusterConfig.scheduler_cmd = [dask, "scheduler"]
c.ClusterConfig.worker_cmd = [dask, "worker"]
c.ClusterConfig.worker_memory = "512 M"

exec(Path(os.environ["DASK_AUTHENTICATOR"]).read_text())
