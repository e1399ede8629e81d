"""Case 47 of docs/security-cases.md: no client gets a connection to the upstream on which another one has authenticated."""

import pytest

from harness import http2
from harness.client import begin, connect
from harness.config import PEOPLE, drop, route
from harness.connection_auth import ConnectionAuthUpstream
from harness.process import eventually

CREDENTIALS = {
    "NTLM": ["NTLM hello-alice", "NTLM proof-alice"],
    "Negotiate": ["Negotiate token-alice"],
}
VERIFIED = """upstream_credentials = [
  { scheme = "NTLM", requests = ["GET /verified"] },
  { scheme = "Negotiate", requests = ["GET /verified"] },
]"""
PATHS = ["/public", "/optional", "/forwarded", "/verified"]


@pytest.fixture
def server():
    with ConnectionAuthUpstream() as server:
        yield server


KEYS = """
[settings]
key = "env:USER_KEY"
[grants]
headers = ["x-api-key"]
"""


@pytest.fixture
def gateway(serve, server, tmp_path, api_key_component):
    for name in ["keys", "others"]:
        plugins = drop(tmp_path, name, api_key_component, KEYS)
    routes = [
        route(server, path="/public", more="public = true"),
        route(server, "people", path="/optional", more="optional = true"),
        route(server, "keys", path="/forwarded", more="forward_authorization = true"),
        route(server, "others", path="/other", more="forward_authorization = true"),
        route(server, "people", path="/verified", more=VERIFIED),
    ]
    return serve(plugins + PEOPLE + "".join(routes), USER_KEY="open sesame")


KEY = {"X-Api-Key": "open sesame"}


def ask(connection, path, headers):
    begin(connection, "GET", path, headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


def authenticate(connection, path, credentials, headers):
    for message in credentials:
        answer = ask(connection, path, headers | {"Authorization": message})
    return answer


def nobody_else_is_alice(gateway, path, headers):
    for _ in range(8):
        connection = connect(gateway.url)
        assert ask(connection, path, headers)[1] != "alice"
        connection.close()
    port = int(gateway.url.rsplit(":", 1)[1])
    assert http2.send(port, path, headers.items()).body != b"alice"


@pytest.mark.parametrize("scheme", CREDENTIALS)
@pytest.mark.parametrize("path", PATHS)
def test_case_47_an_authenticated_connection_belongs_to_its_client(gateway, server, path, scheme):
    headers = KEY if path == "/forwarded" else {}
    alice = connect(gateway.url)
    assert authenticate(alice, path, CREDENTIALS[scheme], headers) == (200, "alice")
    nobody_else_is_alice(gateway, path, headers)
    if path != "/verified":
        assert ask(alice, path, headers) == (200, "alice"), "her connection is hers"
    nobody_else_is_alice(gateway, path, headers)
    alice.close()
    eventually(lambda: "alice" not in server.users.values(), "her connection to the upstream ends with hers")


@pytest.mark.parametrize("path", PATHS)
def test_case_47_a_request_over_http_2_leaves_no_authenticated_connection(gateway, server, path):
    headers = KEY if path == "/forwarded" else {}
    port = int(gateway.url.rsplit(":", 1)[1])
    token = {"Authorization": "Negotiate token-alice"}
    assert http2.send(port, path, (headers | token).items()).body == b"alice"
    nobody_else_is_alice(gateway, path, headers)
    eventually(lambda: "alice" not in server.users.values(), "the connection ends with the response")


def test_case_47_a_proxys_connection_keeps_none(serve, server):
    """The requests of many users come over a connection of a trusted proxy."""
    proxies = 'trusted_proxies = ["127.0.0.1"]\n'
    gateway = serve(PEOPLE + route(server, path="/", more="public = true"), server=proxies)
    connection = connect(gateway.url)
    assert authenticate(connection, "/", CREDENTIALS["Negotiate"], {}) == (200, "alice")
    assert ask(connection, "/", {})[1] == "nobody"


def test_case_47_another_user_of_the_same_connection_gets_none(gateway):
    connection = connect(gateway.url)
    assert authenticate(connection, "/forwarded", CREDENTIALS["Negotiate"], KEY) == (200, "alice")
    assert ask(connection, "/other", KEY)[1] == "nobody"
    assert ask(connection, "/public", {})[1] == "nobody"


UPGRADE = {"Connection": "upgrade", "Upgrade": "echo"}


@pytest.mark.parametrize("scheme", CREDENTIALS)
def test_case_47_an_upgraded_connection_is_its_clients(gateway, server, scheme):
    lines = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
    with gateway.open() as alice:
        for message in CREDENTIALS[scheme]:
            alice.sendall(f"GET /public HTTP/1.1\r\nHost: x\r\n{lines}Authorization: {message}\r\n\r\n".encode())
            answer = alice.recv(65536)
        assert answer.startswith(b"HTTP/1.1 101 ")
        alice.sendall(b"hello")
        assert alice.recv(65536) == b"hello"
        nobody_else_is_alice(gateway, "/public", {})
        nobody_else_is_alice(gateway, "/public", UPGRADE)
    eventually(lambda: "alice" not in server.users.values(), "the upgraded connection ends")
    nobody_else_is_alice(gateway, "/public", {})
