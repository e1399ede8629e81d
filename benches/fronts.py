"""What one request with an RS256 token costs when nginx or Envoy ask about it, in microseconds of processor time.

The answer comes from Portcullis, from HAProxy, or from Envoy's own filter. Front and service share one processor while
wrk sends many distinct tokens from another, each again and again, so that Portcullis reuses its decisions; the combinations
run by turns. Run it by `benches/fronts`.
"""

import contextlib
import re
import tempfile
from pathlib import Path

from measure import envoy, need, nginx, portcullis, processor_seconds, spread, wrk
from tokens import AUDIENCE, AUTHENTICATOR, ISSUER, haproxy, parse, refuses, write_tokens

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

NGINX = """
upstream service { server 127.0.0.1:SERVICE; keepalive 64; }
server {
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {
        auth_request /_service;
        auth_request_set $user $upstream_http_x_forwarded_user;
        add_header X-User $user;
        empty_gif;
    }
    location = /_service {
        internal;
        proxy_pass http://service/.portcullis/auth/nginx;
        proxy_pass_request_body off;
        proxy_http_version 1.1;
        proxy_set_header Connection        "";
        proxy_set_header Content-Length    "";
        proxy_set_header X-Original-Method $request_method;
        proxy_set_header X-Original-URL    $scheme://$http_host$request_uri;
        proxy_set_header X-Forwarded-For   $remote_addr;
    }
}
"""

HTTP2 = """typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }"""

DIRECT = "direct_response: { status: 200, body: { inline_string: ok } }"

ASKS = """- name: envoy.filters.http.ext_authz
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

OWN = """- name: envoy.filters.http.jwt_authn
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
        config = PORTCULLIS.format(issuer=ISSUER, audience=AUDIENCE, folder=folder)
        ours = stack.enter_context(portcullis(folder, arguments.portcullis, config))
        theirs = stack.enter_context(haproxy(folder))
        http, grpc = (logged_port(folder, f"listening for {what}") for what in ("forward-auth", "ext_authz"))
        own = OWN.format(issuer=ISSUER, audience=AUDIENCE, folder=folder)
        ways = {
            "nginx, portcullis": (stack.enter_context(asking_nginx(folder, "ours", http)), ours),
            "nginx, haproxy": (stack.enter_context(asking_nginx(folder, "theirs", theirs.port)), theirs),
            "envoy gRPC, portcullis": (stack.enter_context(envoy(folder, grpc, DIRECT, GRPC, HTTP2)), ours),
            "envoy HTTP, haproxy": (stack.enter_context(envoy(folder, theirs.port, DIRECT, HTTP)), theirs),
            "envoy jwt_authn": (stack.enter_context(envoy(folder, theirs.port, DIRECT, own)), None),
        }
        for name, (front, _) in ways.items():
            refuses(name, front, bad)
        rounds = {name: [] for name in ways}
        for turn in range(arguments.rounds + 1):
            for name, (front, service) in ways.items():
                measured = measure(folder, front, service, arguments.seconds)
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)


def logged_port(folder, message):
    """The port that the gateway's log has for one of its listeners."""
    log = (folder / "portcullis.log").read_text()
    return int(re.search(rf'"message":"{message}","address":"127\.0\.0\.1:(\d+)"', log)[1])


def asking_nginx(folder, name, service):
    return nginx(folder, f"nginx-{name}", NGINX.replace("SERVICE", str(service)))


def measure(folder, front, service, seconds):
    """Requests per second, and microseconds of processor time per request of the front and of the service."""
    before = processor_seconds(service.pid) if service else 0
    load = wrk(front, front.url(), seconds, script=folder / "load.lua")
    if service is None:
        return load.rate, load.cost
    return load.rate, load.cost, (processor_seconds(service.pid) - before) / load.requests * 1e6


def report(rounds):
    print(f"{'':24}{'requests/s':>12}{'front µs':>10}{'service µs (median, min … max)':>34}")
    for name, measured in rounds.items():
        rates, fronts, *services = zip(*measured)
        services = spread(*services) if services else "-"
        print(f"{name:24}{spread(rates, 0).split()[0]:>12}{spread(fronts).split()[0]:>10}{services:>34}")
    for ours, theirs in [("nginx, portcullis", "nginx, haproxy"), ("envoy gRPC, portcullis", "envoy HTTP, haproxy")]:
        for what, part in [("service", 2), ("front and service", None)]:
            costs = [[m[part] if part else sum(m[1:]) for m in rounds[name]] for name in (ours, theirs)]
            print(f"CPU of the {what}, {ours} / {theirs}: median {spread([a / b for a, b in zip(*costs)], 2)}")


if __name__ == "__main__":
    need("nginx", "haproxy", "wrk", "taskset")
    main()
