"""The redirect from plain HTTP to https, and HSTS."""

import pytest
from test_tls import Session, tls

from harness.client import basic, converse, open_tcp, send, send_over
from harness.config import PEOPLE, SESSION, protected, route

REDIRECT = 'redirect = { listen = "127.0.0.1:0" }\n'


def plain(gateway):
    [address] = gateway.addresses(message="redirecting to https")
    return f"http://{address}"


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, authority):
    server = REDIRECT + tls(authority.issue("server"))
    return serve_module(SESSION + protected(shared_upstream), server=server, KEY="0001" * 16)


@pytest.mark.parametrize(
    "host, target, location",
    [
        ("app.example", "/", "https://app.example:{port}/"),
        ("app.example:80", "/a/b?c=d&e=%2F", "https://app.example:{port}/a/b?c=d&e=%2F"),
        ("App.Example:", "/%7Ea", "https://App.Example:{port}/%7Ea"),
        ("[::1]:8080", "/", "https://[::1]:{port}/"),
        ("127.0.0.1", "/?", "https://127.0.0.1:{port}/?"),
        ("app.example", "http://app.example/a", "https://app.example:{port}/a"),
        ("app.example", "/.portcullis/logout", "https://app.example:{port}/.portcullis/logout"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_request_is_redirected_to_the_same_target_at_https(gateway, upstream, method, host, target, location):
    body = b"body" if method == "POST" else None
    answer = send(plain(gateway), target, basic("alice") | {"Host": host}, method, body)
    port = gateway.addresses()[0].rsplit(":", 1)[1]
    assert (answer.status, answer.body) == (308, b"")
    assert answer.header("location") == location.format(port=port)
    assert answer.header("cache-control") == "no-store"
    for absent in ("set-cookie", "www-authenticate", "strict-transport-security"):
        assert answer.all(absent) == []
    assert upstream.seen == []
    assert gateway.logged(message="decision") == [], "no plugin is asked"


@pytest.mark.parametrize(
    "request_line, host",
    [
        ("GET / HTTP/1.1", "a.example/evil"),
        ("GET / HTTP/1.1", "evil@a.example"),
        ("GET / HTTP/1.1", "a.example, b.example"),
        ("GET / HTTP/1.1", "a.example\\b"),
        ("GET / HTTP/1.1", ""),
        ("GET / HTTP/1.0", None),
        ("GET http://b.example/ HTTP/1.1", "a.example"),
        ("GET ftp://a.example/ HTTP/1.1", "a.example"),
        ("GET //evil.example/ HTTP/1.1", "a.example"),
        ("GET /\\evil.example/ HTTP/1.1", "a.example"),
        ("GET /a/../b HTTP/1.1", "a.example"),
        ("GET /a%0d%0aSet-Cookie:x HTTP/1.1", "a.example"),
        ("GET evil.example HTTP/1.1", "a.example"),
    ],
)
def test_a_malformed_request_is_not_redirected(gateway, request_line, host):
    head = request_line + "\r\n" + (f"Host: {host}\r\n" if host is not None else "") + "Connection: close\r\n\r\n"
    answer = converse(plain(gateway), head.encode())
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer
    assert b"location" not in answer.lower()


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_unserved_methods_are_refused(gateway, method):
    target = "a.example:80" if method == "CONNECT" else "/"
    answer = converse(
        plain(gateway), f"{method} {target} HTTP/1.1\r\nHost: a.example:80\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 405 ")


def test_only_served_hosts_are_redirected(serve, upstream, authority):
    config = PEOPLE + route(upstream, "people", more='hosts = ["app.example", "[::1]"]')
    gateway = serve(config, server=REDIRECT + tls(authority.issue("server")))
    for host, status in [("app.example", 308), ("APP.example.:80", 308), ("[::1]", 308), ("evil.example", 400)]:
        assert send(plain(gateway), "/", {"Host": host}).status == status, host


@pytest.mark.parametrize("port, location", [(443, "https://a.example/"), (8443, "https://a.example:8443/")])
def test_clients_may_find_https_at_another_port(serve, upstream, port, location):
    """A proxy in front may have it, so the gateway itself needs none."""
    gateway = serve(protected(upstream), server=f'redirect = {{ listen = "127.0.0.1:0", https_port = {port} }}\n')
    assert send(plain(gateway), "/", {"Host": "a.example"}).header("location") == location
    assert gateway.send("/", basic("alice")).status == 200


def test_the_proxy_protocol_holds_for_it_too(serve, upstream, authority):
    server = 'proxy_protocol = ["127.0.0.1"]\n' + REDIRECT + tls(authority.issue("server"))
    gateway = serve(protected(upstream), server=server)
    [address] = gateway.addresses(message="redirecting to https")
    wire = open_tcp(address)
    assert send_over(wire, "/", before=b"PROXY TCP4 192.0.2.1 192.0.2.1 1 2\r\n").status == 308
    with pytest.raises((ConnectionError, OSError)):
        send(plain(gateway), "/")


def test_the_redirect_listener_stops_with_the_gateway(serve, upstream, authority):
    gateway = serve(protected(upstream), server=REDIRECT + tls(authority.issue("server")))
    address = plain(gateway)
    gateway.stop()
    with pytest.raises(ConnectionRefusedError):
        send(address, "/")


@pytest.mark.parametrize("time, value", [("1y", "max-age=31557600"), ("0s", "max-age=0")])
def test_hsts_is_sent_over_tls_only(serve, upstream, authority, time, value):
    gateway = serve(protected(upstream), server=f'hsts = "{time}"\n' + REDIRECT + tls(authority.issue("server")))
    session = Session(gateway, authority)
    for headers, status in [({}, 401), (basic("alice"), 200)]:
        got, text = session.get(headers)
        assert got == status
        assert f"strict-transport-security: {value}\r\n" in text.lower()
    assert send(plain(gateway), "/").all("strict-transport-security") == [], "not over plain HTTP (RFC 6797)"


def test_hsts_of_the_upstream_is_kept(serve, upstream, authority):
    gateway = serve(protected(upstream), server='hsts = "1y"\n' + tls(authority.issue("server")))
    path = "/answer-headers?Strict-Transport-Security=max-age%3D5"
    _, text = Session(gateway, authority).get(basic("alice"), path)
    assert text.lower().count("strict-transport-security: ") == 1
    assert "strict-transport-security: max-age=5\r\n" in text.lower()
