"""gRPC through the gateway: a client and a server of the real library, over plain HTTP/2 and over TLS."""

import queue
from urllib.parse import urlsplit

import grpc
import pytest

from harness.client import basic
from harness.config import upstream
from harness.grpc_upstream import SERVICE, GrpcUpstream

ALICE = [("authorization", basic("alice")["Authorization"])]
SECONDS = 20


@pytest.fixture(scope="module", params=["h2c", "tls"])
def service(request, authority):
    server = GrpcUpstream(authority.issue("server") if request.param == "tls" else None)
    server.more = f'ca = "{authority.ca}"' if request.param == "tls" else 'protocol = "h2"'
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(service, serve_module):
    return serve_module(upstream(service, more=service.more))


@pytest.fixture
def channel(gateway):
    with grpc.insecure_channel(urlsplit(gateway.url).netloc) as channel:
        yield channel


def test_a_call_and_its_trailers_pass(channel, service):
    answer, call = channel.unary_unary(f"/{SERVICE}/Unary").with_call(b"hello", metadata=ALICE, timeout=SECONDS)
    assert answer == b"HELLO"
    assert ("x-trailing", "late") in call.trailing_metadata()
    metadata = dict(service.metadata[-1])
    assert metadata["x-forwarded-user"] == "alice"
    assert "authorization" not in metadata


def test_a_large_message_passes(channel):
    message = bytes(range(97, 123)) * 100_000
    answer = channel.unary_unary(f"/{SERVICE}/Unary")(message, metadata=ALICE, timeout=SECONDS)
    assert answer == message.upper()


def test_messages_stream_down(channel):
    call = channel.unary_stream(f"/{SERVICE}/Down")(b"abc", metadata=ALICE, timeout=SECONDS)
    assert list(call) == [b"a", b"b", b"c"]


def test_messages_stream_up(channel):
    call = channel.stream_unary(f"/{SERVICE}/Up")
    assert call(iter([b"a", b"b", b"c"]), metadata=ALICE, timeout=SECONDS) == b"abc"


def test_messages_stream_both_ways_at_once(channel):
    messages = queue.Queue()
    call = channel.stream_stream(f"/{SERVICE}/Both")(iter(messages.get, None), metadata=ALICE, timeout=SECONDS)
    for message in (b"a", b"b", b"c"):
        messages.put(message)
        assert next(call) == message.upper()
    messages.put(None)
    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK


def failure(channel, method, metadata=(), timeout=SECONDS):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(f"/{SERVICE}/{method}")(b"x", metadata=metadata, timeout=timeout)
    return failed.value.code(), failed.value.details()


def test_the_services_own_failure_passes(channel):
    assert failure(channel, "Fail", ALICE) == (grpc.StatusCode.FAILED_PRECONDITION, "not so: 50% ä")
    assert failure(channel, "Absent", ALICE)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_reaches_the_service(channel):
    assert failure(channel, "Wait", ALICE, timeout=0.5)[0] is grpc.StatusCode.DEADLINE_EXCEEDED


def test_requests_without_credentials_are_refused(channel, service):
    before = len(service.metadata)
    assert failure(channel, "Unary")[0] is grpc.StatusCode.UNAUTHENTICATED
    assert len(service.metadata) == before


def test_a_service_that_is_down_is_unavailable(serve, unreachable):
    gateway = serve(upstream(unreachable(), more='protocol = "h2"'))
    with grpc.insecure_channel(urlsplit(gateway.url).netloc) as channel:
        assert failure(channel, "Unary", ALICE)[0] is grpc.StatusCode.UNAVAILABLE
