"""Every way into the gateway reads a path in the same way (rows A4 and A10 of the field reports): the public listener over
HTTP/1.1 and HTTP/2, the fronts' five dialects, Envoy's Check over gRPC, and `explain`.
"""

import pytest

from harness import http2
from harness.check import check
from harness.client import ALICE, converse
from harness.config import PEOPLE, route
from harness.fronts import subrequest
from harness.gateway import run

SECTIONS = """
[forward_auth]
listen = "127.0.0.1:0"
[ext_authz]
listen = "127.0.0.1:0"
"""
PROXIES = 'trusted_proxies = ["127.0.0.1"]\n'
AS_IS = 'paths = "as-is"'

# Paths, and whether Alice's request for each passes. `/as-is` accepts paths as they are, `/slashes` encoded slashes.
TARGETS = [
    ("/", True),
    ("/a/b?c=%zz", True),
    ("/a%2Fb", False),
    ("/a//b", False),
    ("/%F6", False),
    ("/slashes/a%2Fb", True),
    ("/slashes/a%2f%2fb", True),
    ("/slashes%2Fa", False),
    ("/slashes/..%2Fa", False),
    ("/slashes/a//b", False),
    # RabbitMQ, Jenkins, Grafana, OpenCCU
    ("/as-is/api/queues/%2F/q", True),
    ("/as-is/job/a%252Fb", True),
    ("/as-is//api//dashboards", True),
    ("/as-is/%F6", True),
    ("/as-is/a%2Fb?c=%2F", True),
    ("/as-is/a%5Cb", True),
    ("/as-is/a/../b", True),
    ("/as-is/a;x=..%2Fb/c", True),
    ("/as-is/%", True),
    ("/as-is/%00", True),
    # What another program may read elsewhere
    ("/as-is/..", False),
    ("/as-is/../a", False),
    ("/as-is/..%2Fa", False),
    ("/as-is/..%5Ca", False),
    ("/as-is/%2e%2e/a", False),
    ("/as-is/%252e%252e/a", False),
    ("/as-is/%25252e%25252e/a", False),
    ("/as-is/x/..;/../a", False),
    ("/as-is/%2F..%2F..%2Fa", False),
    ("/as-is/../as-is/../a", False),
    ("/as-is/../.portcullis/logout", False),
    ("/as-is%2Fa", False),
    ("/as-is;x/a%2F", False),
    ("/as-is./a%2F", False),
    ("//as-is/a", False),
    ("/as-is/public", True),
    ("/as-is//public", False),
    ("/as-is/x/..%2Fpublic", False),
    ("/a#b", False),
    ("/as-is/a%2F#b", False),
    ("/a?b#c", False),
    ("/a?q=m\u00fcller", True),
    ("/m\u00fcller", False),
    ("/a?b\\c", True),
    ("/a?b={c}|d^e", True),
]


@pytest.fixture(scope="module")
def config(shared_raw_upstream):
    routes = [
        route(shared_raw_upstream, "people"),
        route(shared_raw_upstream, "people", path="/slashes", more="allow_encoded_slash = true"),
        route(shared_raw_upstream, "people", path="/as-is", more=AS_IS),
        route(shared_raw_upstream, path="/as-is/public", more="public = true"),
    ]
    return SECTIONS + PEOPLE + "".join(routes)


@pytest.fixture(scope="module")
def gateway(serve_module, config):
    return serve_module(config, server=PROXIES)


def address(gateway, message):
    [line] = gateway.logged(message=message)
    return line["address"]


def status(answer):
    return int(answer.split(b" ")[1])


def over_http_1_1(gateway, target):
    lines = f"Host: app.example\r\nAuthorization: {ALICE['Authorization']}\r\nConnection: close\r\n"
    return status(converse(gateway.url, f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()))


def over_http_2(gateway, target):
    # A stream that is reset has the status 0: the library rejects some targets before the gateway sees them.
    answer = http2.send(int(gateway.url.rsplit(":", 1)[1]), target.encode(), ALICE.items())
    return answer.status or 400


def by_dialect(name):
    def ask(gateway, target):
        headers = ALICE | subrequest(target)
        line = f"GET /.portcullis/auth/{name}"
        if name == "nginx":
            headers = ALICE | {
                "X-Original-URL": f"http://app.example{target}",
                "X-Original-Method": "GET",
                "X-Forwarded-For": "192.0.2.1",
            }
        elif name == "envoy":
            headers = ALICE | {"X-Forwarded-Proto": "http", "X-Forwarded-For": "192.0.2.1"}
            line += target
        lines = "".join(f"{field}: {value}\r\n" for field, value in headers.items())
        where = f"http://{address(gateway, 'listening for forward-auth')}"
        request = f"{line} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n{lines}\r\n"
        answered = status(converse(where, request.encode()))
        return 400 if name == "nginx" and answered == 403 else answered

    return ask


def by_check(gateway, target):
    return check(address(gateway, "listening for ext_authz"), target, ALICE.items())


ENTRANCES = {"HTTP/1.1": over_http_1_1, "HTTP/2": over_http_2, "gRPC": by_check} | {
    name: by_dialect(name) for name in ["nginx", "traefik", "caddy", "haproxy", "envoy"]
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_entrance_reads_a_path_in_the_same_way(gateway, entrance):
    ask = ENTRANCES[entrance]
    # The library that reads HTTP/2 drops a fragment, so the upstream gets none either.
    targets = [(target, passes) for target, passes in TARGETS if entrance != "HTTP/2" or "#" not in target]
    wrong = [
        (target, answered)
        for target, passes in targets
        if (answered := ask(gateway, target)) != (200 if passes else 400)
    ]
    assert wrong == []


def test_explain_reads_a_path_in_the_same_way(config, tmp_path):
    for target, passes in TARGETS:
        words = ["GET", f"http://app.example{target}", "-H", f"Authorization: {ALICE['Authorization']}"]
        done = run("explain", *words, folder=tmp_path, config=f"[server]\n{PROXIES}{config}")
        assert ("\nforwarded" in done.stdout) == passes, (target, done.stdout, done.stderr)


def test_the_upstream_gets_the_path_as_it_came(gateway, raw_upstream):
    for target, passes in TARGETS:
        raw_upstream.forget()
        over_http_1_1(gateway, target)
        assert [request.target for request in raw_upstream.seen] == ([target.encode().decode("latin-1")] if passes else [])


def test_a_route_that_asks_the_upstream_about_a_segment_takes_no_path_as_it_is(tmp_path, upstream):
    config = PEOPLE + route(upstream, "people", more=f'{AS_IS}\nauthorize_with = "GET /may/{{1}}"')
    done = run("check", folder=tmp_path, config=config)
    assert done.returncode == 1
    assert 'authorize_with can\'t be combined with paths = "as-is"' in done.stderr


def test_a_fragment_over_http_2_reaches_no_upstream(gateway, raw_upstream):
    for target, arrives in [("/a#b", "/a"), ("/a?b#c", "/a?b"), ("/as-is/a%2F#b", "/as-is/a%2F")]:
        raw_upstream.forget()
        assert over_http_2(gateway, target) == 200
        assert [request.target for request in raw_upstream.seen] == [arrives]
