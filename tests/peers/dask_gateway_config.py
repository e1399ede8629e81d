"""A dask-gateway-server on 127.0.0.1 for the tests: clusters are local processes, and who knows the password is in.

The password is the one that Portcullis sends with every user's name.
"""

import os

from traitlets.config import get_config

c = get_config()
api, proxy = os.environ["DASK_PORTS"].split()

c.DaskGateway.address = f"127.0.0.1:{api}"
c.Proxy.address = f"127.0.0.1:{proxy}"
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.SimpleAuthenticator.password = os.environ["DASK_PASSWORD"]

# dask's own commands by their full path: this virtual environment need not be on PATH.
dask = os.environ["DASK_COMMAND"]
c.ClusterConfig.scheduler_cmd = [dask, "scheduler"]
c.ClusterConfig.worker_cmd = [dask, "worker"]
c.ClusterConfig.worker_memory = "512 M"
