"""The documentation's configuration of dask-gateway, and below it what a test needs besides: clusters as local processes
of whoever runs the tests, with options that show what dask-gateway was told about the user."""

import json
import os

from dask_gateway_server.options import Options, String

load_subconfig("dask_gateway_config.py")  # noqa: F821
c = get_config()  # noqa: F821


def told(user):
    facts = {"name": user.name, "groups": sorted(user.groups), "admin": user.admin}
    return Options(String("user", default=json.dumps(facts)))


c.Backend.cluster_options = told
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
dask = os.environ["DASK_COMMAND"]
c.ClusterConfig.scheduler_cmd = [dask, "scheduler"]
c.ClusterConfig.worker_cmd = [dask, "worker"]
c.ClusterConfig.worker_memory = "512 M"
c.ClusterConfig.environment = {"SSL_CERT_FILE": os.environ["DASK_CA"]}
# So that a test sees more than one of them.
c.DBBackendBase.cluster_heartbeat_period = 2
# The default is twice as long, for which the first look at a dashboard can keep the scheduler of a busy machine from reporting.
c.DBBackendBase.cluster_heartbeat_timeout = 60
