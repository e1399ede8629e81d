"""Upstreams that speak HTTP/2, by prior knowledge and by ALPN: requests, trailers, upgrades and retries."""

import socket
import threading
from dataclasses import replace
from http.client import IncompleteRead

import pytest

from harness.client import ALICE, begin, connect, converse
from harness.config import upstream
from harness.frames import Http2
from harness.http2_upstream import Answer
from harness.process import eventually
from harness.scripted import OK, tls_context

H2 = 'protocol = "h2"'
REFUSED, CANCEL, INTERNAL = 7, 8, 2


def test_the_request_is_the_same_as_over_http_1_1(serve, http2_upstreams):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=H2))
    headers = {
        **ALICE,
        "Host": "app.example:8000",
        "Connection": "x-mine, te, x-forwarded-user, authorization",
        "X-Mine": "1",
        "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive",
        "TE": "gzip",
        "X-Forwarded-User": "mallory",
        "x_forwarded_user": "mallory",
        "X-Kept": "1",
    }
    assert gateway.send("/%61/b;c=1?d=%zz", headers, method="POST", body=b"hello").body == b"ok"
    [request] = server.seen
    assert request.body == b"hello"
    assert sorted(field for field in request.fields if field[0] != "x-request-id") == [
        (":authority", "app.example:8000"),
        (":method", "POST"),
        (":path", "/%61/b;c=1?d=%zz"),
        (":scheme", "http"),
        ("content-length", "5"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "app.example:8000"),
        ("x-forwarded-port", "8000"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-user", "alice"),
        ("x-kept", "1"),
    ]
    # Pseudo-headers come first (RFC 9113, section 8.3).
    assert [name[0] for name, _ in request.fields][:4] == [":"] * 4


@pytest.mark.parametrize("more", ["", H2], ids=["agreed", "told"])
def test_http_2_is_spoken_over_tls(serve, http2_upstreams, authority, more):
    server = http2_upstreams(tls=tls_context(authority.issue("server"), ["h2"]))
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"\n{more}'))
    assert gateway.send("/", {**ALICE, "Host": "app.example"}).body == b"ok"
    [request] = server.seen
    assert (request.all(":scheme"), request.all(":authority")) == (["https"], ["app.example"])


def test_a_request_that_names_no_host_asks_for_the_server(serve, http2_upstreams):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=H2))
    authorization = ALICE["Authorization"]
    received = converse(gateway.url, f"GET / HTTP/1.0\r\nAuthorization: {authorization}\r\n\r\n".encode())
    assert received.endswith(b"ok")
    assert server.seen[0].all(":authority") == [f"127.0.0.1:{server.port}"]


def test_many_requests_share_a_connection(serve, http2_upstreams):
    together = threading.Barrier(20, timeout=20)

    server = http2_upstreams(lambda request: Answer(body=request.all(":path")[0].encode()))
    gateway = serve(upstream(server, more=H2))

    def ask(number, answers):
        together.wait()
        answers[number] = gateway.send(f"/{number}", ALICE).body.decode()

    found = {}
    threads = [threading.Thread(target=ask, args=(number, found)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {number: f"/{number}" for number in range(20)}
    assert len(server.connections) == 1


def test_a_server_of_http_1_1_configured_as_http_2_is_a_502(serve, scripted_upstream):
    server = scripted_upstream(
        lambda connection: (connection.head(), connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
    )
    gateway = serve(upstream(server, more=f"{H2}\nretries = 0"))
    assert gateway.send("/", ALICE).status == 502


@pytest.mark.parametrize(
    "end", [Answer(half=True, reset=INTERNAL), Answer(half=True, reset=0), Answer(half=True, close=True)]
)
@pytest.mark.parametrize("length", [[], [("content-length", "8")]], ids=["no length", "a length"])
def test_a_truncated_http_2_response_is_never_passed_off_as_complete(serve, http2_upstreams, end, length):
    server = http2_upstreams(lambda request: replace(end, headers=length))
    gateway = serve(upstream(server, more=H2))
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        gateway.send("/", ALICE)
    assert len(server.seen) == 1


@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (70_000, 502)])
def test_the_head_of_a_response_is_bounded(serve, http2_upstreams, size, status):
    server = http2_upstreams(lambda request: Answer(headers=[("x-large", "x" * size)]))
    gateway = serve(upstream(server, more=f"{H2}\nretries = 0"))
    assert gateway.send("/", ALICE).status == status


# Trailers


def upload(gateway, trailers, te=None):
    """A request over HTTP/2 with a body and trailers."""
    with Http2(gateway.url) as client:
        head = [("authorization", ALICE["Authorization"])] + ([("te", te)] if te else [])
        client.request(1, client.pairs(head, method="POST"), end=False)
        client.data(1, b"hello", end=False)
        client.request(1, trailers)
        return client.answer(1)


def test_only_harmless_trailers_of_a_client_are_forwarded(serve, http2_upstreams):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=H2))
    forbidden = [
        ("x-forwarded-user", "mallory"),
        ("x_forwarded_user", "mallory"),
        ("remote-user", "mallory"),
        ("x-portcullis-token", "x"),
        ("authorization", "Basic eDp4"),
        ("cookie", "a=1"),
        ("host", "evil.example"),
        ("content-length", "7"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-http-method-override", "DELETE"),
    ]
    assert upload(gateway, [*forbidden, ("x-checksum", "7")])[0] == 200
    assert upload(gateway, forbidden)[0] == 200
    first, second = server.seen
    assert (first.body, first.trailers) == (b"hello", [("x-checksum", "7")])
    assert (second.body, second.trailers) == (b"hello", [])


def test_no_trailer_of_a_client_reaches_http_1_1(serve, scripted_upstream):
    server = scripted_upstream(lambda connection: (server.seen.append(connection.request()), connection.send(OK)))
    gateway = serve(upstream(server))
    assert upload(gateway, [("x-checksum", "7")])[0] == 200
    [request] = server.seen
    assert (request.body, request.trailers) == (b"hello", b"")


@pytest.mark.parametrize(("te", "expected"), [("trailers", ["trailers"]), (None, [])])
def test_te_trailers_is_forwarded_only_from_the_client(serve, http2_upstreams, te, expected):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=H2))
    assert upload(gateway, [("x", "1")], te=te)[0] == 200
    assert server.seen[0].all("te") == expected


def test_only_harmless_trailers_of_an_upstream_are_forwarded(serve, http2_upstreams):
    trailers = [("grpc-status", "0"), ("set-cookie", "a=1"), ("content-length", "9"), ("x-sum", "7")]
    gateway = serve(upstream(http2_upstreams(lambda request: Answer(trailers=trailers)), more=H2))
    with Http2(gateway.url) as client:
        client.request(1, client.pairs([("authorization", ALICE["Authorization"]), ("te", "trailers")]))
        assert client.answer(1)[0] == 200
        found = []
        while not found:
            frame = client.frame()
            if type(frame).__name__ == "HeadersFrame":
                found = client.decode(frame)
    assert found == [("grpc-status", "0"), ("x-sum", "7")]


# Upgrades

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}


def test_an_upgrade_goes_over_http_1_1_where_the_server_speaks_both(serve, scripted_upstream, authority):
    def switch(connection):
        assert connection.wire.selected_alpn_protocol() == "http/1.1"
        request = connection.head()
        assert request.all("x-forwarded-user") == [b"alice"]
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.send(connection.read(5).upper())

    server = scripted_upstream(switch, tls=tls_context(authority.issue("server"), ["h2", "http/1.1"]))
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"'))
    connection = connect(gateway.url)
    begin(connection, "GET", "/", {**ALICE, **UPGRADE})
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 101 ")
    connection.send(b"hello")
    assert connection.sock.recv(5) == b"HELLO"
    connection.close()


def test_an_upgrade_that_http_2_doesnt_have_is_not_asked_for(serve, http2_upstreams):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=H2))
    assert gateway.send("/", {**ALICE, **UPGRADE}).status == 200
    assert {"upgrade", "connection"}.isdisjoint(name for name, _ in server.seen[0].fields)


@pytest.mark.parametrize("method, outcomes", [("CONNECT", [502]), ("GET", ["reset", "ended"])])
def test_a_server_of_http_2_has_no_websockets(serve, http2_upstreams, method, outcomes):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=H2))
    with Http2(gateway.url) as client:
        pairs = [*client.pairs(method=method), (":protocol", "websocket"), ("authorization", ALICE["Authorization"])]
        client.request(1, pairs)
        assert client.outcome(1) in outcomes


# What is tried again


@pytest.mark.parametrize(
    ("method", "body", "fault", "times"),
    [
        ("GET", None, Answer(reset=REFUSED), 2),
        ("POST", None, Answer(reset=REFUSED), 2),
        ("POST", b"hello", Answer(reset=REFUSED), 1),
        ("POST", None, Answer(goodbye=1), 2),
        ("POST", b"hello", Answer(goodbye=1), 1),
        ("GET", None, Answer(reset=INTERNAL), 2),
        ("GET", None, Answer(close=True), 2),
        ("POST", None, Answer(reset=INTERNAL), 1),
        ("POST", None, Answer(close=True), 1),
        ("PUT", b"hello", Answer(reset=INTERNAL), 1),
        ("GET", None, Answer(status=503), 1),
    ],
)
def test_what_is_sent_again_and_what_is_not(serve, http2_upstreams, method, body, fault, times):
    seen = []

    def answer(request):
        seen.append(request)
        return fault if len(seen) == 1 else Answer()

    servers = [http2_upstreams(answer), http2_upstreams(answer)]
    gateway = serve(upstream(*servers, more=H2))
    status = gateway.send("/", ALICE, method=method, body=body).status
    assert len(seen) == times
    assert status == (200 if times == 2 else 503 if fault.status == 503 else 502)
    assert sorted(len(server.seen) for server in servers) == ([1, 1] if times == 2 else [0, 1])


def test_a_connection_with_goaway_is_replaced(serve, http2_upstreams):
    server = http2_upstreams(lambda request: Answer(goodbye=0))
    gateway = serve(upstream(server, more=f"{H2}\nretries = 0"))
    assert [gateway.send("/", ALICE, method="POST", body=b"x").status for _ in range(4)] == [200] * 4
    assert len(server.connections) == 4


def test_an_idle_http_2_connection_that_the_server_closed_costs_no_request(serve, http2_upstreams):
    server = http2_upstreams()
    gateway = serve(upstream(server, more=f"{H2}\nretries = 0"))
    assert gateway.send("/", ALICE).status == 200
    server.connections[0].wire.shutdown(socket.SHUT_WR)
    eventually(lambda: gateway.connections(server.port) == 0, "the gateway has heard of it")
    assert gateway.send("/", ALICE, method="POST", body=b"x").status == 200
    assert len(server.connections) == 2
