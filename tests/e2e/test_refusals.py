"""Each refusal is explained by one line of the log, which the `X-Request-Id` of the response finds, and by `explain`, which is
given the same request.
"""

import pytest

from harness.client import basic
from harness.config import PEOPLE, SESSION, route
from harness.gateway import run
from harness.process import Unreachable

ALICE = basic("alice", "open sesame")
KEY = "00112233" * 8
DECISION, REFUSED, DENIED, SILENT = "decision", "request refused", "the user was denied", "the upstream gave no response"
NO_KEY = "it wasn't sealed with one of the keys, or was changed"

CASES = {
    "no credentials": ("/", {}, 401, DECISION, "people: pass", "passes: no credentials of its kind"),
    "wrong password": ("/", basic("alice", "x"), 401, DECISION, 'reject "wrong password"', "rejects the credentials: wrong password"),
    "another kind": ("/jwt", {"Authorization": "Bearer xyz"}, 401, DECISION, 'pass "The token is not a signed JWT"', "passes: The token is not a signed JWT"),
    "session": ("/", {"Cookie": "portcullis=x"}, 401, DECISION, NO_KEY, NO_KEY),
    "out of reach": ("/hub", {"Authorization": "Bearer x"}, 503, DECISION, 'hub: unavailable "the request to JupyterHub failed', "can't decide: the request to JupyterHub failed"),
    "too often": ("/often", ALICE, 429, DECISION, 'turned_away "its client asks more often than limits.rate, 1/m, allows"', None),
    "the route": ("/staff", ALICE, 403, DENIED, "the route requires groups staff; tier gold, and the user has no groups; no tier", "the route requires groups staff; tier gold, and the user has no groups; no tier"),
    "the upstream": ("/asked", ALICE, 403, DENIED, "it answered 403 Forbidden", "is answered 2xx for this user"),
    "no answer": ("/unasked", ALICE, 503, DENIED, "Connection refused", "is answered 2xx for this user"),
    "path": ("/a//b", ALICE, 400, REFUSED, "the path has an empty segment", "the path has an empty segment"),
    "host": ("/", {"Host": "other.test"}, 404, REFUSED, 'no route is for the host "other.test"', 'no route is for the host "other.test"'),
    "no route": ("/nowhere", {"Host": "app.test"}, 404, REFUSED, "no route matches the path", "no route matches the path"),
    "method": ("/read", {"Host": "app.test"}, 405, REFUSED, "the path is served with GET, HEAD only", "the path is served with GET, HEAD only"),
    "large body": ("/small", ALICE, 413, REFUSED, "the body has 1025 bytes, and max_body_size is 1024", None),
    "no server": ("/gone", ALICE, 502, SILENT, "Connection refused", None),
}  # fmt: skip
"""What is sent, the status, the message of the log's line and a part of it, and a part of what `explain` prints. `None`: the
request alone doesn't say it."""


@pytest.fixture(scope="module")
def gone():
    server = Unreachable()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def config(shared_upstream, gone):
    hub = f"""
[authenticators.hub]
plugin = "jupyterhub"
settings = {{ api_url = "{gone.url}/hub/api", service_name = "x" }}
grants.http = ["{gone.url}/hub/api"]
"""
    jwt = """
[authenticators.jwt]
plugin = "jwt"
[[authenticators.jwt.settings.issuers]]
issuer = "https://provider.test"
audiences = ["x"]
secret = "0123456789012345678901234567890123456789"
"""
    people = f'{PEOPLE}settings.password = "open sesame"\n'
    often = people.replace(".people", ".often") + 'limits.rate = "1/m"\n'

    def at(path, *authenticators, more="", upstream=shared_upstream):
        return route(upstream, *(authenticators or ["people"]), path=path, more=f'hosts = ["localhost", "127.0.0.1"]\n{more}')

    return (
        SESSION + people + often + hub + jwt
        + at("/")
        + at("/jwt", "jwt")
        + at("/hub", "hub")
        + at("/often", "often", more="start_sessions = false")
        + at("/staff", more='require = { groups = ["staff"], claims = { tier = ["gold"] } }')
        + at("/asked", more='authorize_with = "GET /status/403"')
        + at("/unasked", more='authorize_with = "GET /ask"', upstream=gone)
        + at("/small", more='max_body_size = "1KiB"')
        + at("/gone", upstream=gone)
        + route(shared_upstream, "people", path="/read", more='hosts = ["app.test"]\nmethods = ["GET"]')
    )  # fmt: skip


@pytest.fixture(scope="module")
def gateway(serve_module, config):
    return serve_module(config, KEY=KEY)


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_one_explain_say_why(gateway, config, tmp_path, case):
    path, headers, status, message, said, explained = CASES[case]
    method, body = ("POST", b"x" * 1025) if case in ("method", "large body") else ("GET", None)
    if case == "too often":
        assert gateway.send(path, headers).status == 200
    answer = gateway.send(path, headers, method=method, body=body)
    assert answer.status == status
    [line] = gateway.logged(message=message, request_id=answer.header("x-request-id"))
    assert (line["method"], line["path"]) == (method, path)
    assert any(said in value for value in line.values() if isinstance(value, str)), line
    assert "client" in line
    if explained:
        host = headers.get("Host", "localhost")
        words = [word for name, value in headers.items() if name != "Host" for word in ("-H", f"{name}: {value}")]
        done = run("explain", method, f"http://{host}{path}", *words, folder=tmp_path, config=config, KEY=KEY)
        assert explained in done.stdout, done.stdout + done.stderr
