"""WebSockets through the gateway. The upgrade is authenticated first, as any request is."""

import pytest
from websockets.exceptions import InvalidStatus

from harness.client import basic, open_websocket
from harness.config import protected


def dial(gateway, headers, **options):
    return open_websocket(f"{gateway.url}/websocket", headers, **options)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(protected(shared_upstream))


def test_messages_pass_both_ways(gateway):
    with dial(gateway, basic("alice"), subprotocols=["echo"]) as socket:
        assert socket.subprotocol == "echo"
        assert socket.recv(10) == "alice"
        for message in ("text", b"\x00\xff", "x" * 100_000):
            socket.send(message)
            assert socket.recv(10) == message


def test_the_close_code_reaches_the_upstream(gateway, upstream):
    with dial(gateway, basic("alice")) as socket:
        socket.recv(10)
        socket.close(4000, "enough")
    assert upstream.close_codes.get(timeout=10) == 4000


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic !!!"}, {"X-Forwarded-User": "mallory"}])
def test_an_upgrade_without_a_user_never_reaches_the_upstream(gateway, upstream, headers):
    with pytest.raises(InvalidStatus) as refused:
        dial(gateway, headers)
    assert refused.value.response.status_code == 401
    assert upstream.seen == []


def test_an_upgrade_carries_no_identity_of_the_clients_making(gateway):
    with dial(gateway, basic("alice") | {"X_Forwarded_User": "mallory"}) as socket:
        assert socket.recv(10) == "alice"
