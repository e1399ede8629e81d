"""The rows: what is compared with what, and which ratio is to be reached. A ratio that was set in microseconds is divided
by what the peer took on the machine where it was set."""

from . import ours, theirs
from .figures import CONNECTIONS, Figure, another_authenticator, idle_connection, start
from .measure import Comparison, Group, half_load
from .ours import MOST_AUTHENTICATORS as MOST

ONE_ROUTE = ours.many(1)
ONE_TOKEN = ours.live(1)

TABLE = [
    Group(
        [
            Comparison("rs256-repeated", "RS256 token, repeatedly", ours.RS256, theirs.HAPROXY_RS256, 0.45),
            Comparison("rs256-audit", "RS256 token, repeatedly, with the audit line", ours.RS256_AUDIT, theirs.HAPROXY_RS256, 0.6),
            Comparison("rs256-fresh", "RS256 token, every time", ours.RS256_FRESH, theirs.HAPROXY_RS256, 1.35),
            Comparison("simple", "password, `simple` every time", ours.SIMPLE, theirs.HAPROXY_RS256, 22 / 31),
            Comparison("python", "plugin in Python, every time", ours.PYTHON, theirs.HAPROXY_RS256, 1350 / 31.9, drawn=False),
            Comparison("javascript", "plugin in JavaScript, every time", ours.JAVASCRIPT, theirs.HAPROXY_RS256, 400 / 31.9, drawn=False),
        ]
    ),
    Group([Comparison("es256-fresh", "ES256 token, every time", ours.ES256_FRESH, theirs.HAPROXY_ES256, 1.15)]),
    Group([Comparison("rs256-envoy", "RS256 token, repeatedly", ours.RS256, theirs.ENVOY_RS256, 0.75)]),
    Group(
        [
            Comparison(
                "rs256-proxied", "RS256 token, repeatedly, proxied to nginx", ours.RS256_PROXIED, theirs.ENVOY_RS256_PROXIED, 0.8
            )
        ]
    ),
    Group(
        [
            Comparison("proxy-nginx", "reverse proxy, public", ours.PUBLIC, theirs.NGINX, 1.5),
            Comparison("proxy-envoy", "reverse proxy, public", ours.PUBLIC, theirs.ENVOY, 0.7),
            Comparison("session", "reverse proxy, with a session", ours.SESSION, ours.PUBLIC, 1.15),
        ]
    ),
    Group(
        [Comparison("auth-request", "service for nginx's `auth_request`", ours.BEHIND_NGINX, theirs.HAPROXY_BEHIND_NGINX, 0.7)]
    ),
    Group([Comparison("grpc-check", "service for Envoy's gRPC Check", ours.BEHIND_ENVOY, theirs.HAPROXY_BEHIND_ENVOY, 1.2)]),
    Group([Comparison("plugin", "API key, plugin every time", ours.API_KEY_PLUGIN, theirs.ENVOY_WASM, 0.6)]),
    Group([Comparison("no-plugin", "no plugin, answer 200", ours.NO_PLUGIN, theirs.HAPROXY_RETURN, 1.25)]),
    Group(
        [
            Comparison("routes-10", "10 routes, 10 authenticators", ours.many(10), ONE_ROUTE, 1.1),
            Comparison("routes-100", "100 routes, 100 authenticators", ours.many(100), ONE_ROUTE, 1.1),
            Comparison("routes-1000", "1,000 routes, 1,000 authenticators", ours.many(1000), ONE_ROUTE, 1.1),
            Comparison("routes-1000-one", "the same, requests to one of them", ours.many(1000, sent=1), ONE_ROUTE, 1.1, drawn=False),
        ]
    ),
    Group(
        [
            Comparison("tokens-100", "100 tokens, repeatedly", ours.live(100), ONE_TOKEN, 1.1),
            Comparison("tokens-10000", "10,000 tokens, repeatedly", ours.live(10_000), ONE_TOKEN, 1.1),
            Comparison("tokens-100000", "100,000 tokens, repeatedly", ours.live(100_000), ONE_TOKEN, 1.1),
            Comparison("tokens-100000-one", "the same, then one of them", ours.live(100_000, sent=1), ONE_TOKEN, 1.1, drawn=False),
        ]
    ),
    Group(
        [Comparison("p99", "RS256 token, repeatedly, p99 at half of HAProxy's rate", ours.RS256, theirs.HAPROXY_RS256, 1.5)],
        load=half_load,
        value=lambda load: load.p99,
        unit="ms",
    ),
]

FIGURES = [
    Figure(
        "idle",
        f"idle connection after one request, of {CONNECTIONS:,}",
        "KiB",
        24,
        idle_connection(ours.PUBLIC),
        ("nginx", idle_connection(theirs.NGINX)),
    ),
    Figure("authenticators", f"an authenticator more, of {MOST:,} with the same settings", "KiB", 64, another_authenticator),
    Figure("start", "start with all built-in plugins, compiled before", "ms", 60, start),
]
