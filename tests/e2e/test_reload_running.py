"""Hot reload: a request that runs ends whole by the configuration with which it began, and no request is ever lost."""

import itertools
import os
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import h2.config
import h2.connection
from hyperframe.frame import DataFrame
from test_drain import received_frames

from harness.client import ALICE, begin, connect, open_websocket
from harness.config import PEOPLE, protected, route, whoami
from harness.process import eventually
from harness.reload import configure, put_secret, refused, reload, start

OTHER = '[authenticators.other]\nplugin = "simple"\nsettings.password = "other"\n'


def begun(gateway, path, headers=ALICE):
    """A response of which the first line has come."""
    connection = connect(gateway.url)
    begin(connection, "GET", path, headers)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    return response


def forbid(gateway, upstream):
    """Leaves no route to the upstream, and no authenticator that knows alice."""
    assert reload(gateway, OTHER + whoami("other", path="/only")) != []
    assert gateway.send("/stream/down", ALICE).status == 404


def test_a_response_ends_whole(serve, upstream):
    gateway = start(serve, protected(upstream))
    running = [begun(gateway, "/stream/down") for _ in range(20)]
    forbid(gateway, upstream)
    upstream.may_go_on.set()
    assert [response.read() for response in running] == [b"second\n"] * 20


def test_an_upload_ends_whole(serve, upstream):
    gateway = start(serve, protected(upstream))
    connection = connect(gateway.url)
    begin(connection, "POST", "/stream/up", ALICE | {"Content-Length": "8"})
    connection.send(b"four")
    assert upstream.chunks.get(timeout=10) == b"four"
    forbid(gateway, upstream)
    connection.send(b"more")
    assert connection.getresponse().read() == b"got it all"


def test_a_websocket_goes_on(serve, upstream):
    gateway = start(serve, protected(upstream))
    with open_websocket(f"{gateway.url}/websocket", ALICE) as socket:
        assert socket.recv(10) == "alice"
        forbid(gateway, upstream)
        for message in ("still", "there"):
            socket.send(message)
            assert socket.recv(10) == message
    assert upstream.close_codes.get(timeout=10) == 1000


def test_a_stream_of_http2_ends_whole_and_the_next_one_is_decided_anew(serve, upstream):
    gateway = start(serve, protected(upstream))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/stream/down")]
    head.append(("authorization", ALICE["Authorization"]))
    client.send_headers(1, head, end_stream=True)
    with gateway.open() as wire:
        wire.sendall(client.data_to_send())
        frames = received_frames(wire)
        data = (frame for frame in frames if isinstance(frame, DataFrame))
        assert next(data).data == b"first\n"
        forbid(gateway, upstream)
        client.send_headers(3, head, end_stream=True)
        wire.sendall(client.data_to_send())
        late = next(data)
        assert (late.stream_id, b"error" in late.data) == (3, True), "no route any more"
        upstream.may_go_on.set()
        assert b"".join(frame.data for frame in itertools.islice(data, 2) if frame.stream_id == 1) == b"second\n"


GUEST = """
[authenticators.guest]
plugin = "{plugin}"
[authenticators.guest.grants]
headers = ["x-do", "authorization"]
http = ["{server}"]
"""
BOTH = {"X-Do": "nothing", "Authorization": "Script grant"}
"""What both guests grant."""


def replace(path, component):
    shutil.copy(component, f"{path}.new")
    os.replace(f"{path}.new", path)


def test_a_call_of_a_component_that_is_replaced_ends_whole(
    serve, upstream, fetch_servers, scripted_component, prober_component, tmp_path
):
    plugin, server = tmp_path / "guest.wasm", fetch_servers()
    replace(plugin, prober_component)
    gateway = start(serve, GUEST.format(plugin=plugin, server=server.url) + route(upstream, "guest"))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(gateway.send, "/", {"X-Do": f"fetch http|127.0.0.1:{server.port}|/gated"})
        eventually(lambda: server.seen, "the plugin waits for an answer")
        replace(plugin, scripted_component)
        assert reload(gateway) == ["~authenticator guest: component"]
        assert gateway.send("/", {"Authorization": "Script grant"}).status == 200, "the next one decides"
        assert gateway.send("/", {"X-Do": "nothing"}).status == 401
        server.gate.set()
        assert slow.result().status == 200


def test_one_place_for_calls_is_enough_for_any_number_of_reloads(serve, upstream):
    """An authenticator keeps a place of its own, which its successor needs."""
    plugins = "[plugins]\nconcurrency = 1\n"
    gateway = start(serve, plugins + protected(upstream))
    for turn in range(5):
        people = PEOPLE + f"settings.valid_for = {turn}\n"
        changes = reload(gateway, plugins + people + route(upstream, "people"))
        assert changes == ["~authenticator people: settings.valid_for"]
        assert [gateway.send("/", ALICE).status for _ in range(3)] == [200] * 3


class Crowd:
    """Clients that ask all the time: half of them over connections that they keep, the others over new ones."""

    def __init__(self, gateway, count=6):
        self._gateway, self._stopped = gateway, threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._counts = [self._pool.submit(self._ask, number) for number in range(count)]

    def stop(self):
        """What became of all requests."""
        self._stopped.set()
        return sum((counts.result(60) for counts in self._counts), Counter())

    def _ask(self, number):
        counts, connection = Counter(), None
        while not self._stopped.is_set():
            path, headers = [("/", ALICE), ("/guest", BOTH)][sum(counts.values()) % 2]
            try:
                connection = connection or connect(self._gateway.url)
                begin(connection, "GET", path, headers)
                response = connection.getresponse()
                body = response.read()
                counts[response.status if b"alice" in body else body] += 1
                if number % 2:
                    connection.close()
                    connection = None
            except Exception as failure:
                counts[repr(failure)] += 1
                connection = None
        return counts


def test_no_request_is_lost_while_everything_changes(serve, upstream, scripted_component, prober_component, tmp_path):
    plugin, secret = tmp_path / "guest.wasm", put_secret(tmp_path / "secret", "0")
    replace(plugin, prober_component)

    def config(turn):
        guest = GUEST.format(plugin=plugin, server="http://127.0.0.1:1")
        other = OTHER.replace('"other"\n', f'"file:{secret}"\n')
        app = f'[upstreams.app]\nservers = ["{upstream.url}"]\nmax_fails = {turn % 5 + 1}\n'
        people = PEOPLE + f"settings.valid_for = {turn % 3}\n"
        routes = route(upstream, "people") + route(upstream, "guest", path="/guest") + whoami("other", path="/other")
        more = "".join(whoami(path=f"/{name}") for name in range(turn % 4))
        return guest + other + app + people + routes.replace(f'"{upstream.url}"', '"app"') + more

    current, server = config(0), ""
    gateway = start(serve, current)
    crowd = Crowd(gateway)
    for turn in range(30):
        match turn % 6:
            case 0:
                replace(plugin, [scripted_component, prober_component][turn // 6 % 2])
                expected = "~authenticator guest: component"
            case 1:
                put_secret(secret, str(turn))
                expected = "~authenticator other: settings.password"
            case 2:
                assert "not TOML" in refused(gateway, "mistake")
                assert reload(gateway, current, server) == []
                continue
            case _:
                current, server = config(turn), f"max_connections = {500 + turn}\n"
                configure(gateway, current, server)
                expected = "~upstream app: max_fails"
        assert expected in reload(gateway), turn
    counts = crowd.stop()
    assert set(counts) == {200}, counts
    assert counts[200] > 100
