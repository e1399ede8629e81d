"""WebSockets over HTTP/2 (RFC 8441), as browsers open them on a connection that they have. The upstream gets an upgrade of HTTP/1.1."""

import secrets

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame
from websockets.frames import Frame, Opcode

from harness.chromium import chromium
from harness.client import ALICE
from harness.config import PEOPLE, SESSION, protected, route
from harness.frames import Http2
from harness.gateway import ADMIN
from harness.process import eventually
from harness.scripted import answers
from harness.upstream import values

VERSION = ("sec-websocket-version", "13")
ENABLE_CONNECT_PROTOCOL = 8
CANCEL = 8


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(ADMIN + protected(shared_upstream))


class WebSocket:
    """A WebSocket on a stream of a connection."""

    def __init__(self, connection, stream=1, headers=ALICE, path="/websocket", protocol="websocket"):
        self._connection, self._stream, self._received = connection, stream, b""
        fields = [VERSION, *((name.lower(), value) for name, value in headers.items())]
        connection.request(stream, connection.pairs(fields, method="CONNECT", protocol=protocol, path=path), end=False)
        self.status, self.headers = connection.answer(stream)

    def send(self, text):
        self._connection.data(self._stream, Frame(Opcode.TEXT, text.encode()).serialize(mask=True), end=False)

    def close(self):
        frame = Frame(Opcode.CLOSE, (4000).to_bytes(2, "big") + b"enough")
        self._connection.data(self._stream, frame.serialize(mask=True), end=False)

    def receive(self):
        """The next short message, or `None` at the end of the stream."""
        while len(self._received) < 2 or len(self._received) < 2 + self._received[1]:
            frame = self._connection.frame()
            if frame.stream_id != self._stream:
                continue
            if isinstance(frame, RstStreamFrame):
                return None
            if isinstance(frame, DataFrame):
                self._received += frame.data
                if "END_STREAM" in frame.flags:
                    return None
        end = 2 + self._received[1]
        message, self._received = self._received[2:end], self._received[end:]
        return message.decode(errors="replace")


def test_the_gateway_offers_them(gateway):
    with Http2(gateway.url) as connection:
        frame = eventually(lambda: connection.frame(), "its settings")
        assert isinstance(frame, SettingsFrame) and frame.settings[ENABLE_CONNECT_PROTOCOL] == 1


def test_messages_pass_both_ways(gateway, upstream):
    with Http2(gateway.url) as connection:
        socket = WebSocket(connection)
        assert socket.status == 200
        names = {name for name, _ in socket.headers}
        assert not names & {"connection", "upgrade", "sec-websocket-accept"}, "these are of HTTP/1.1"
        assert socket.receive() == "alice"
        for message in ("one", "two"):
            socket.send(message)
            assert socket.receive() == message
        socket.close()
        assert upstream.close_codes.get(timeout=10) == 4000
    [seen] = upstream.seen
    assert (seen["method"], seen["target"]) == ("GET", "/websocket")
    assert [values(seen, name) for name in ("connection", "upgrade")] == [["upgrade"], ["websocket"]]
    assert len(values(seen, "sec-websocket-key")) == 1 and values(seen, "authorization") == []


def test_several_share_a_connection_with_requests(gateway):
    with Http2(gateway.url) as connection:
        first = WebSocket(connection, 1)
        assert first.receive() == "alice"
        second = WebSocket(connection, 3)
        assert second.receive() == "alice"
        second.send("second")
        assert second.receive() == "second"
        connection.request(5, connection.pairs([("authorization", ALICE["Authorization"])]))
        assert connection.answer(5)[0] == 200
        first.send("first")
        assert first.receive() == "first"


@pytest.mark.parametrize("headers, status", [({}, 401), ({"Authorization": "Basic !!!"}, 401), ({"X-Forwarded-User": "mallory"}, 401)])
def test_without_a_user_it_never_reaches_the_upstream(gateway, upstream, headers, status):
    with Http2(gateway.url) as connection:
        assert WebSocket(connection, headers=headers).status == status
    assert upstream.seen == []


@pytest.mark.parametrize("protocol, outcome", [("connect-udp", 405), ("WebSocket", 405), ("h2c", 405), (None, "reset")])
def test_nothing_else_is_tunneled(gateway, upstream, protocol, outcome):
    """What carries requests would hide all but the first one from the gateway."""
    with Http2(gateway.url) as connection:
        fields = [("authorization", ALICE["Authorization"])]
        connection.request(1, connection.pairs(fields, method="CONNECT", protocol=protocol), end=False)
        assert connection.outcome(1) == outcome
    assert upstream.seen == []


def test_an_upstream_that_speaks_no_websocket_is_a_502(serve, scripted_upstream):
    for head in (b"Upgrade: websocket\r\n", b"Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"):
        upstream = scripted_upstream(answers(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n" + head + b"\r\n"))
        gateway = serve(PEOPLE + route(upstream, "people"))
        with Http2(gateway.url) as connection:
            assert WebSocket(connection).status == 502
        assert gateway.logged(message="an upstream switched to a WebSocket without proving that it speaks it")


@pytest.mark.parametrize("path, status", [("/status/418", 418), ("/status/200", 502), ("/", 502)])
def test_an_answer_without_a_websocket_never_opens_one(gateway, path, status):
    """An answer of 2xx would say that it is open."""
    with Http2(gateway.url) as connection:
        assert WebSocket(connection, path=path).status == status


def test_a_connection_with_an_open_websocket_is_not_idle(serve, upstream):
    gateway = serve(protected(upstream), server='keepalive_timeout = "1s"\n')
    with Http2(gateway.url) as connection, Http2(gateway.url) as idle:
        socket = WebSocket(connection)
        assert socket.receive() == "alice"
        idle.request(1, idle.pairs([("authorization", ALICE["Authorization"])]))
        idle.answer(1)
        eventually(lambda: idle.frame() and idle.farewell, "the other one is closed after its time")
        socket.send("still here")
        assert socket.receive() == "still here"


def test_the_upstream_hears_of_a_client_that_is_gone(gateway, upstream):
    with Http2(gateway.url) as connection:
        socket = WebSocket(connection)
        assert socket.receive() == "alice"
        connection.reset(1)
        assert upstream.close_codes.get(timeout=10) in (1000, 1006)


def test_it_ends_with_its_session(serve, upstream):
    """One that the same connection has opened with credentials goes on."""
    gateway = serve(SESSION + protected(upstream), KEY=secrets.token_hex(32))
    [(name, value)] = gateway.send("/", ALICE).set_cookies().items()
    cookie = {"Cookie": f"{name}={value}"}
    with Http2(gateway.url) as connection:
        bound = WebSocket(connection, 1, cookie)
        assert bound.receive() == "alice"
        unbound = WebSocket(connection, 3)
        assert unbound.receive() == "alice"
        assert gateway.send("/.portcullis/logout", cookie | {"Origin": gateway.url}, "POST").status == 200
        assert bound.receive() is None
        unbound.send("still here")
        assert unbound.receive() == "still here"


def test_a_stop_ends_it(serve, upstream):
    gateway = serve(protected(upstream), server='shutdown_timeout = "1s"\n')
    with Http2(gateway.url) as connection:
        socket = WebSocket(connection)
        assert socket.receive() == "alice"
        gateway.stop()
        assert socket.receive() is None


def test_chromium_opens_one_on_its_connection(serve, upstream, authority, tmp_path):
    cert, key = authority.issue("gateway.example")
    config = "[access_log]\n" + route(upstream, more="public = true")
    gateway = serve(config, server=f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n')
    address = gateway.url.removeprefix("http://")
    options = [f"--host-resolver-rules=MAP gateway.example {address}", "--ignore-certificate-errors"]
    script = """new Promise((resolve, reject) => {
        const socket = new WebSocket("wss://gateway.example/websocket")
        const heard = []
        socket.onmessage = event => { heard.push(event.data); heard.length == 1 ? socket.send("hello") : resolve(heard.join()) }
        socket.onerror = () => reject("it failed")
    })"""
    with chromium(tmp_path, *options) as page:
        page.visit("https://gateway.example/")
        assert page.run(script) == "nobody,hello"
    lines = eventually(lambda: [line for line in gateway.log() if line.get("path") == "/websocket"], "the WebSocket is logged")
    assert [line["protocol"] for line in lines] == ["HTTP/2.0"]
