"""Floods over HTTP/2: frames that are cheap to send and cost the gateway something. The connection ends, the memory that
it took comes back, and the next client is served.
"""

import itertools

import pytest
from hyperframe.frame import (
    DataFrame,
    ExtensionFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from harness.client import ALICE
from harness.config import protected
from harness.frames import Ended, Http2
from harness.gateway import ADMIN
from harness.hostile import assert_settles, resident_mib
from harness.process import eventually

AS_ALICE = [("authorization", ALICE["Authorization"])]
FRAMES = 40_000
"""How many a flood has: far more than any client needs."""

MAX_GROWTH_MIB = 48

MAX_STREAMS = 128
"""How many requests may be open on a connection, by default."""


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(ADMIN + protected(shared_upstream))


def frames(frame):
    """The same frame again and again."""

    def flood(client):
        piece = frame.serialize() * 1000
        for _ in range(FRAMES // 1000):
            client.send(piece)

    return flood


def on_a_stream(frame):
    """The same while a request is under way."""

    def flood(client):
        client.request(3, client.pairs(AS_ALICE, method="POST", path="/stream/up"), end=False)
        frames(frame)(client)

    return flood


def resets(client):
    """Requests that are taken back at once (CVE-2023-44487)."""
    for stream in range(3, FRAMES, 2):
        client.request(stream, client.pairs(AS_ALICE))
        client.reset(stream)


def resets_one_by_one(client):
    """The same, each only when its request is under way: what waits to be accepted never piles up."""
    for stream in range(3, FRAMES, 2):
        client.request(stream, client.pairs(AS_ALICE, method="POST", path="/stream/up"), end=False)
        client.send(PingFrame(0, opaque_data=b"12345678"))
        while not isinstance(client.frame(), PingFrame):
            pass
        client.reset(stream)


def mistakes(client):
    """Requests that the gateway resets itself (CVE-2025-8671, MadeYouReset)."""
    for stream in range(3, FRAMES, 2):
        client.request(stream, client.pairs(AS_ALICE))
        client.send(WindowUpdateFrame(stream, window_increment=0x7FFFFFFF))


def too_many_streams(client):
    for stream in range(3, FRAMES, 2):
        client.request(stream, client.pairs(AS_ALICE, method="POST", path="/stream/up"), end=False)


def tables(client):
    """A large header that a byte stands for, again and again (an HPACK bomb)."""
    client.encode([("x-a", "a" * 4000)])
    block = client.encode([*client.pairs(AS_ALICE), *[("x-a", "a" * 4000)] * 4000])
    for stream in range(3, 2001, 2):
        client.send(HeadersFrame(stream, data=block[:16_000], flags=["END_HEADERS", "END_STREAM"]))


FLOODS = {
    "pings": frames(PingFrame(0, opaque_data=b"12345678")),
    "pongs": frames(PingFrame(0, opaque_data=b"12345678", flags=["ACK"])),
    "settings": frames(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 100})),
    "empty settings": frames(SettingsFrame(0)),
    "priorities": frames(PriorityFrame(1, depends_on=3, stream_weight=1)),
    "unknown frames": frames(ExtensionFrame(0xFA, 0, 0, body=b"x")),
    "windows": frames(WindowUpdateFrame(0, window_increment=1)),
    "windows of a stream": on_a_stream(WindowUpdateFrame(3, window_increment=1)),
    "empty data": on_a_stream(DataFrame(3)),
    "padding": on_a_stream(DataFrame(3, pad_length=255, flags=["PADDED"])),
    "resets of nothing": frames(RstStreamFrame(1, error_code=8)),
    "resets": resets,
    "resets one by one": resets_one_by_one,
    "mistakes": mistakes,
    "too many streams": too_many_streams,
    "tables": tables,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(gateway, name):
    before = resident_mib(gateway)
    with Http2(gateway.url) as client:
        client.request(1, client.pairs(AS_ALICE))
        assert client.outcome(1) == 200, "from here on a connection that merely waits stays"
        with pytest.raises(Ended):
            FLOODS[name](client)
            while True:
                client.frame()
    assert gateway.send("/", ALICE).status == 200
    assert_settles(gateway, before + MAX_GROWTH_MIB)


def test_a_flood_is_counted_and_logged(gateway):
    before = gateway.metric("portcullis_client_faults_total", bound="frames") or 0
    with Http2(gateway.url) as client, pytest.raises(Ended):
        FLOODS["pings"](client)
        while True:
            client.frame()
    # The connection ends a moment before.
    counted = lambda: gateway.metric("portcullis_client_faults_total", bound="frames") == before + 1
    eventually(counted, "it is counted")
    cut = {"message": "a client was cut off", "bound": "frames", "client": "127.0.0.1"}
    eventually(lambda: gateway.logged(**cut), "it is logged")


def test_a_body_in_tiny_frames_is_no_flood_while_it_moves(gateway):
    """A client that writes a byte at a time is slow, not hostile: the bytes count, with a bound on the frames."""
    with Http2(gateway.url) as client:
        client.request(1, client.pairs(AS_ALICE, method="POST"), end=False)
        for _ in range(60):
            client.data(1, b"x", end=False)
        client.data(1, b"x")
        assert client.outcome(1) == 200


def test_max_streams_bounds_concurrent_streams(serve, upstream):
    gateway = serve(protected(upstream), server="max_streams = 3\n")
    with Http2(gateway.url) as client:
        for stream in (1, 3, 5, 7):
            client.request(stream, client.pairs(AS_ALICE, method="POST", path="/stream/up"), end=False)
        assert client.outcome(7) == "reset"
        for stream in (1, 3, 5):
            client.data(stream, b"x")
            assert client.outcome(stream) == 200
        later = itertools.count(9, 2)

        def is_answered():
            stream = next(later)
            client.request(stream, client.pairs(AS_ALICE))
            return client.outcome(stream) == 200

        eventually(is_answered, "there is room again")


def test_as_many_requests_as_may_be_open_can_be_taken_back_at_once(gateway):
    """A proxy sends the requests of many clients over one connection, and takes them back when these leave together."""
    with Http2(gateway.url) as client:
        streams = itertools.count(1, 2)
        for _ in range(5):
            taken_back = list(itertools.islice(streams, MAX_STREAMS))
            heads = [HeadersFrame(n, data=client.encode(client.pairs(AS_ALICE)), flags=["END_HEADERS", "END_STREAM"]) for n in taken_back]
            client.send(*heads, *[RstStreamFrame(n, error_code=8) for n in taken_back])
            another = next(streams)
            client.request(another, client.pairs(AS_ALICE))
            assert client.outcome(another) == 200


def test_an_ordinary_client_is_no_flood(gateway):
    """Five thousand requests on one connection, with a ping and a window for each."""
    with Http2(gateway.url) as client:
        for stream in range(1, 10_001, 2):
            client.request(stream, client.pairs(path="/"))
            client.send(PingFrame(0, opaque_data=b"12345678"), WindowUpdateFrame(0, window_increment=100))
            assert client.outcome(stream) == 401
