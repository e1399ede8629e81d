"""What a provider says of one user may hurt that user alone (rows B1 and B9 of the field reports): the user comes in without
the optional fact, or is refused with the reason in the log, and everybody else is served.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.client import bearer
from harness.config import drop, route, whoami
from harness.upstream import values
from harness.tokens import forge, hmac_with

SERVER = 'trusted_proxies = ["127.0.0.1"]\nmax_header_size = "1MiB"\n'
"""A test can be any client, by `X-Forwarded-For`, and send large tokens."""
SECRET = "0123456789" * 4
LIMITS = '[grants]\nheaders = ["x-do", "authorization"]\n[limits]\ndeadline = "200ms"\n'


class OddHub:
    """Answers the API's `GET /hub/api/user` with the model of a token. Real hubs refuse to store most of these."""

    def __init__(self):
        self.models = {}
        models = self.models

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                model = models.get(self.headers["Authorization"].removeprefix("token "))
                body = json.dumps(model).encode()
                self.send_response(200 if model else 403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def hub():
    server = OddHub()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, hub, tmp_path_factory, hostile_component):
    folder = tmp_path_factory.mktemp("plugins")
    config = f"""
{drop(folder, "hostile", hostile_component, LIMITS)}
[authenticators.hub]
plugin = "jupyterhub"
settings = {{ api_url = "{hub.url}/hub/api", service_name = "gateway", cache = "0s" }}
grants.http = ["{hub.url}/hub/api"]
[authenticators.jwt]
plugin = "jwt"
settings.max_token_bytes = 900000
settings.user_claim = ["email", "sub"]
settings.groups_claim = "groups"
settings.attributes = {{ team = "team" }}
[[authenticators.jwt.settings.issuers]]
issuer = "https://id.test"
audiences = ["us"]
secret = "{SECRET}"
"""
    for name in ("hub", "jwt", "hostile"):
        config += whoami(name, path=f"/{name}")
    for path, key in [("all", ""), ("some", 'groups_filter = ["g7", "g99*"]'), ("none", "groups = false")]:
        config += route(shared_upstream, "jwt", path=f"/{path}", more=f"[routes.identity]\n{key}")
    return serve_module(f'[session]\nkeys = ["env:KEY"]\n{config}', server=SERVER, KEY="00112233" * 8)


def jwt(claims):
    claims = {"iss": "https://id.test", "aud": "us", "exp": int(time.time()) + 3600} | claims
    return bearer(forge({"alg": "HS256"}, claims, hmac_with(SECRET.encode())))


def hub_token(hub, model):
    token = f"t{len(hub.models)}"
    hub.models[token] = {"kind": "user", "scopes": ["access:services"]} | model
    return {"Authorization": f"token {token}"}


def many(count):
    return [f"g{number}" for number in range(count)]


HUB = {
    "1,500 groups": ({"groups": many(1500)}, 200, many(1500)),
    "4,096 groups": ({"groups": ["g"] * 4096}, 200, ["g"] * 4096),
    "4,097 groups": ({"groups": ["g"] * 4097}, 403, "the user has 4097 groups, and at most 4096 are accepted"),
    "100,000 groups": ({"groups": ["g"] * 100_000}, 403, "the user has 100000 groups, and at most 4096 are accepted"),
    "a group of 1,024 bytes": ({"groups": ["x" * 1024, "a"]}, 200, ["x" * 1024, "a"]),
    "a group of 1,025 bytes": ({"groups": ["x" * 1025, "a"]}, 200, ["a"]),
    "a group of 1 MiB": ({"groups": ["x" * (1 << 20), "a"]}, 200, ["a"]),
    "256 KiB of groups": ({"groups": ["x" * 1000] * 300}, 403, "bytes of name, groups and attributes, and at most 262144"),
    "4 MiB of groups": ({"groups": ["x" * 1000] * 4000}, 403, "bytes of name, groups and attributes, and at most 262144"),
    "empty, null and other groups": ({"groups": ["", None, 7, {}, "a"]}, 200, ["a"]),
    "a line break in a group": ({"groups": ["a\n"]}, 403, "the group name has a control character"),
    "no list of groups": ({"groups": "a"}, 200, []),
    "null for groups": ({"groups": None}, 200, []),
    "a name of 256 bytes": ({"name": "x" * 256}, 200, []),
    "a name of 257 bytes": ({"name": "x" * 257}, 403, "the user name is longer than 256 bytes"),
    "a name of 1 MiB": ({"name": "x" * (1 << 20)}, 403, "the user name is longer than 256 bytes"),
    "an empty name": ({"name": ""}, 403, "the user name is empty"),
    "null for a name": ({"name": None}, 403, "the user's name or kind is not a text"),
    "a number for a name": ({"name": 7}, 403, "the user's name or kind is not a text"),
    "null for a kind": ({"kind": None}, 403, "the user's name or kind is not a text"),
    "a text for admin": ({"admin": "yes"}, 200, []),
    "4 MiB of numbers for groups": ({"groups": [0] * 1_350_000}, 200, []),
    "4 MiB of empty groups": ({"groups": [""] * 1_000_000}, 403, "the user has 1000000 groups, and at most 4096"),
    "half a surrogate pair in the name": ({"name": "a\ud83d"}, 403, "the user's name or kind is not a text"),
    "half a surrogate pair in a group": ({"groups": ["\ude00", "a"]}, 200, ["a"]),
    "half a surrogate pair elsewhere": ({"servers": {"\ud83d": {}}, "admin": {"\ud83d": 1}}, 200, []),
    "a line break in the name": ({"name": "a\r\nb"}, 403, "the user name has control characters"),
}
"""What the hub says of a user, the status, and the groups that the page shows, or a part of the reason."""

JWT = {
    "1,500 groups": ({"groups": many(1500)}, 200, many(1500)),
    "4,096 groups": ({"groups": ["g"] * 4096}, 200, ["g"] * 4096),
    "4,097 groups": ({"groups": ["g"] * 4097}, 403, "the user has 4097 groups, and at most 4096 are accepted"),
    "a group of 1,025 bytes": ({"groups": ["x" * 1025, "a"]}, 200, ["a"]),
    "256 KiB of groups": ({"groups": ["x" * 1000] * 300}, 403, "bytes of name, groups and attributes, and at most 262144"),
    "roles as an object": ({"groups": {"admin": {"1": "x"}, "b": 1}}, 200, ["admin", "b"]),
    "empty, null and other groups": ({"groups": ["", None, 7, {}, "a"]}, 200, ["7", "a"]),
    "half a surrogate pair in a group": ({"groups": ["\ude00", "a"]}, 401, "a payload that is not a JSON object with distinct names"),
    "a line break in a group": ({"groups": ["a\n"]}, 401, "the claim groups has a control character"),
    "a line break in an attribute": ({"team": "a\r\nb"}, 401, "the claim team has a control character"),
    "an empty group": ({"groups": ""}, 200, []),
    "an odd attribute": ({"team": {"a": 1}}, 200, []),
    "an attribute of 4,097 bytes": ({"team": "x" * 4097}, 200, []),
    "an empty e-mail address": ({"email": ""}, 200, []),
    "a list of addresses": ({"email": ["u"]}, 200, []),
    "a number": ({"sub": 7}, 200, []),
    "an object for a name": ({"sub": {}}, 401, "the claim sub is not a name"),
    "a name of 257 bytes": ({"sub": "x" * 257}, 401, "the claim sub is not a name"),
    "no name": ({"sub": None}, 401, "the claim email, sub is missing"),
}


def assert_outcome(gateway, path, headers, status, expected):
    answer = gateway.send(path, headers)
    assert answer.status == status
    if status == 200:
        assert (answer.json()["groups"], answer.json()["attributes"]) == (expected, {})
        return
    [line] = gateway.logged(message="decision", request_id=answer.header("x-request-id"))
    assert expected in line["steps"]


@pytest.mark.parametrize("case", HUB)
def test_an_odd_user_of_a_hub(gateway, hub, case):
    model, status, expected = HUB[case]
    assert_outcome(gateway, "/hub", hub_token(hub, {"name": "odd"} | model), status, expected)


@pytest.mark.parametrize("case", JWT)
def test_an_odd_user_of_a_token(gateway, case):
    claims, status, expected = JWT[case]
    assert_outcome(gateway, "/jwt", jwt({"sub": "odd"} | claims), status, expected)


ODDITIES = [
    ("/hub", "too many groups", 403),
    ("/jwt", "too many groups", 403),
    ("/hostile", "five thousand groups", 403),
    ("/hostile", "many groups", 503),
    ("/hostile", "line break in a header", 503),
    ("/hostile", "line break in a challenge", 503),
    ("/hostile", "panic", 503),
    ("/hostile", "recurse", 503),
    ("/hostile", "eat memory", 503),
    ("/hostile", "loop", 503),
]
SPREADS = {
    "one address": lambda number: {"X-Forwarded-For": "192.0.2.1"},
    "five addresses": lambda number: {"X-Forwarded-For": f"192.0.2.{number // 40}"},
    "an address each": lambda number: {"X-Forwarded-For": f"192.0.2.{number}"},
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("path, deed, status", ODDITIES)
def test_an_odd_user_shuts_nobody_out(gateway, hub, path, deed, status, spread):
    """Row B1, with the breaker on. Many requests of the odd user in a row, and then as many of another from the same addresses.
    What a third-party plugin fails at is data of the odd user: it traps, hangs, or runs out of memory."""
    groups = {"groups": ["g"] * 5000}
    odd, other = {
        "/hub": (hub_token(hub, {"name": "odd"} | groups), hub_token(hub, {"name": "other"})),
        "/jwt": (jwt({"sub": "odd"} | groups), jwt({"sub": "other"})),
        "/hostile": ({"X-Do": deed}, {"X-Do": "nothing bad"}),
    }[path]
    clients = [SPREADS[spread](number) for number in range(200)]
    assert {gateway.send(path, odd | client).status for client in clients} == {status}
    assert {gateway.send(path, other | client).status for client in clients} == {200}
    assert not [line for line in gateway.log() if "for all clients" in line["message"]]


@pytest.mark.parametrize("spread", SPREADS)
def test_an_odd_user_with_a_new_token_for_every_request_shuts_nobody_out(gateway, spread):
    """Row B1 again, where nothing tells that the requests are of one person but, sometimes, their address. The other has a new
    token for every request as well, so that nobody is known."""
    send = lambda deed, number, token: gateway.send(
        "/hostile", {"X-Do": deed} | bearer(f"{token}{number}") | SPREADS[spread](number)
    )
    assert {send("panic", number, f"{spread}-odd").status for number in range(200)} <= {503}
    if spread == "one address":
        assert {send("nothing bad", number, f"{spread}-other").status for number in range(200)} == {200}
    else:
        # Elsewhere, at once. Where the odd user was, after the first success, whoever had it.
        assert gateway.send("/hostile", {"X-Do": "nothing bad", "X-Forwarded-For": "198.51.100.1"} | bearer(spread)).status == 200
        assert {send("nothing bad", number, f"{spread}-other").status for number in range(200)} == {200}


def test_an_odd_user_among_others_shuts_nobody_out(gateway):
    """Row B1 again: at any time, also while calls of the odd user run, from wherever and with whatever token."""
    statuses = set()
    for number in range(200):
        for odd in range(3):
            address = {"X-Forwarded-For": f"192.0.2.{odd}"}
            gateway.send("/hostile", {"X-Do": "panic"} | bearer(f"among-{number}-{odd}") | address)
        address = {"X-Forwarded-For": f"192.0.2.{number % 7}"}
        statuses.add(gateway.send("/hostile", {"X-Do": "nothing bad"} | bearer(f"among-{number}") | address).status)
    assert statuses == {200}


def test_a_session_that_does_not_fit_is_told(gateway):
    """Row B13: the user is authenticated with every request, and the log says why, once an hour."""
    odd = jwt({"sub": "sessionless", "groups": many(1000)})
    for _ in range(3):
        answer = gateway.send("/jwt", odd)
        assert (answer.status, answer.set_cookies()) == (200, {})
    lines = [line for line in gateway.log() if line["message"].startswith("a user gets no session")]
    assert [(line["user"], line["groups"]) for line in lines if line["user"] == "sessionless"] == [("sessionless", 1000)]
    assert gateway.send("/jwt", jwt({"sub": "small"})).set_cookies()


def test_groups_that_the_upstream_cant_take_are_left_out_and_told(gateway, upstream):
    """Row B2: the upstream is aiohttp, which accepts 8,190 bytes in a field, as dask-gateway's server does."""
    odd = jwt({"sub": "manifold", "groups": many(2000)})
    for path, status, groups in [
        ("/all", 400, None),
        ("/all", 400, None),
        ("/some", 200, ",".join(["g7", "g99", *(f"g99{digit}" for digit in range(10))])),
        ("/none", 200, ""),
    ]:
        answer = gateway.send(path, odd | {"X-Forwarded-Groups": "admins"})
        assert answer.status == status
        if status == 200:
            assert ",".join(values(upstream.seen[-1], "x-forwarded-groups")) == groups
    lines = [line for line in gateway.log() if line["message"].startswith("the identity headers are larger")]
    assert [(line["user"], line["groups"], line["route"]) for line in lines] == [("manifold", 2000, "/all")]
    assert 8192 < lines[0]["bytes"] < 12_000
