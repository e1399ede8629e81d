"""What one request with an RS256 token costs when nginx or Envoy ask about it, in microseconds of processor time.

The answer comes from Portcullis, from HAProxy, or from Envoy's own filter. Front and service share one processor while
wrk sends many distinct tokens from another; the combinations run by turns. Run it by `benches/fronts`.
"""

import contextlib
import statistics
import tempfile
from pathlib import Path
from socket import socket

from common import (
    AUDIENCE,
    AUTHENTICATOR,
    ISSUER,
    ROOT,
    connects,
    haproxy,
    load,
    needs,
    parse,
    pinned,
    portcullis,
    processor_seconds,
    refuses,
    write_tokens,
)

ENVOY = ROOT / "tests/.state/venv/bin/envoy"

PORTCULLIS = f"""
[server]
listen = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1"]
[forward_auth]
listen = "127.0.0.1:0"
[ext_authz]
listen = "127.0.0.1:0"
{AUTHENTICATOR}
[[routes]]
path = "/"
authenticators = ["tokens"]
"""

NGINX_CONF = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    upstream service {{ server 127.0.0.1:{service}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        location / {{
            auth_request /_service;
            auth_request_set $user $upstream_http_x_forwarded_user;
            add_header X-User $user;
            empty_gif;
        }}
        location = /_service {{
            internal;
            proxy_pass http://service/.portcullis/auth/nginx;
            proxy_pass_request_body off;
            proxy_http_version 1.1;
            proxy_set_header Connection        "";
            proxy_set_header Content-Length    "";
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URL    $scheme://$http_host$request_uri;
            proxy_set_header X-Forwarded-For   $remote_addr;
        }}
    }}
}}
"""

ENVOY_CONF = """
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: app
                use_remote_address: true
                route_config:
                  virtual_hosts:
                    - name: app
                      domains: ["*"]
                      routes:
                        - match: {{ prefix: / }}
                          direct_response: {{ status: 200, body: {{ inline_string: ok }} }}
                http_filters:
                  - {filter}
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

HTTP2 = """typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }"""

ASKS = """name: envoy.filters.http.ext_authz
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
                      transport_api_version: V3
                      """

GRPC = ASKS + "grpc_service: { timeout: 5s, envoy_grpc: { cluster_name: service } }"

HTTP = (
    ASKS
    + """http_service:
                        server_uri: { uri: http://service, cluster: service, timeout: 5s }
                        authorization_response:
                          allowed_upstream_headers: { patterns: [{ exact: x-forwarded-user }] }"""
)

OWN = """name: envoy.filters.http.jwt_authn
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      providers:
                        own:
                          issuer: {issuer}
                          audiences: [{audience}]
                          local_jwks: {{ filename: {folder}/jwks.json }}
                          claim_to_headers: [{{ header_name: x-forwarded-user, claim_name: sub }}]
                      rules:
                        - match: {{ prefix: / }}
                          requires: {{ provider_name: own }}"""


def main():
    arguments = parse(__doc__)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        folder.chmod(0o755)
        bad = write_tokens(folder, arguments.tokens)
        ours, ports = stack.enter_context(portcullis(folder, arguments.portcullis, PORTCULLIS))
        theirs, port = stack.enter_context(haproxy(folder))
        http, grpc = ports["listening for forward-auth"], ports["listening for ext_authz"]
        own = OWN.format(issuer=ISSUER, audience=AUDIENCE, folder=folder)
        ways = {
            "nginx, portcullis": (stack.enter_context(nginx(folder, http)), ours),
            "nginx, haproxy": (stack.enter_context(nginx(folder, port)), theirs),
            "envoy gRPC, portcullis": (stack.enter_context(envoy(folder, grpc, GRPC, HTTP2)), ours),
            "envoy HTTP, haproxy": (stack.enter_context(envoy(folder, port, HTTP)), theirs),
            "envoy jwt_authn": (stack.enter_context(envoy(folder, port, own)), None),
        }
        for name, ((_, port), _) in ways.items():
            refuses(name, port, bad)
        rounds = {name: [] for name in ways}
        for turn in range(arguments.rounds + 1):
            for name, ((front, port), service) in ways.items():
                measured = measure(folder, front, service, port, arguments.seconds)
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)


@contextlib.contextmanager
def nginx(folder, service):
    port = free_port()
    config = folder / f"nginx-{port}.conf"
    config.write_text(NGINX_CONF.format(folder=folder, port=port, service=service))
    command = ["nginx", "-p", str(folder), "-c", str(config)]
    with pinned(command, (folder / f"nginx-{port}.log").open("wb")) as pid:
        connects(port)
        yield pid, port


@contextlib.contextmanager
def envoy(folder, service, filter, protocol=""):
    port = free_port()
    config = folder / f"envoy-{port}.yaml"
    config.write_text(ENVOY_CONF.format(port=port, service=service, filter=filter, protocol=protocol))
    command = [str(ENVOY), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    with pinned(command, (folder / f"envoy-{port}.log").open("wb")) as pid:
        connects(port)
        yield pid, port


def free_port():
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def measure(folder, front, service, port, seconds):
    """Requests per second, and microseconds of processor time per request of the front and of the service."""
    pids = [pid for pid in (front, service) if pid]
    before = [processor_seconds(pid) for pid in pids]
    rate, requests = load(folder, port, seconds)
    return rate, *[(processor_seconds(pid) - then) / requests * 1e6 for pid, then in zip(pids, before)]


def report(rounds):
    print(f"{'':24}{'requests/s':>12}{'front µs':>10}{'service µs (median, min … max)':>34}")
    for name, measured in rounds.items():
        rates, fronts, *services = zip(*measured)
        services = [f"{statistics.median(costs):.1f} ({min(costs):.1f} … {max(costs):.1f})" for costs in services]
        print(f"{name:24}{statistics.median(rates):12.0f}{statistics.median(fronts):10.1f}{''.join(services) or '-':>34}")
    for ours, theirs in [("nginx, portcullis", "nginx, haproxy"), ("envoy gRPC, portcullis", "envoy HTTP, haproxy")]:
        for what, part in [("service", 2), ("front and service", None)]:
            costs = [[m[part] if part else sum(m[1:]) for m in rounds[name]] for name in (ours, theirs)]
            ratios = [a / b for a, b in zip(*costs)]
            print(f"CPU of the {what}, {ours} / {theirs}: median {statistics.median(ratios):.2f}"
                  f" ({min(ratios):.2f} … {max(ratios):.2f})")


if __name__ == "__main__":
    needs("nginx", "haproxy", "wrk", "taskset")
    main()
