"""dask-gateway-server authenticates its users itself, with plugins in its own process: the real server, the real client, and
clusters that compute."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from os import environ

import aiohttp
import pytest
from dask_gateway.auth import BasicAuth

from harness import build
from harness.client import basic, bearer
from harness.dask_in_process import DaskInProcess, command_of
from harness.dask_server import Bearer, compute_a_sum
from harness.dask_stack import replaced
from harness.paths import ROOT
from harness.process import free_ports

SUM = sum(range(1000))
CLUSTERS = "/api/v1/clusters/"
PAGE = (ROOT / "docs/python.md").read_text()


def on_the_page(which, provider):
    """A block of the page about dask-gateway, with the tests' provider."""
    blocks = [block for block in re.findall(r"(?ms)^```python\n(.*?)^```", PAGE) if "WasmAuthenticator" in block]
    places = {"https://idp.example": provider.issuer, "https://gateway.example": provider.audience}
    return replaced(blocks[which], places)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    running = []

    def start(config):
        running.append(DaskInProcess(tmp_path_factory.mktemp("dask") / "server", config))
        return running[-1]

    yield start
    for server in running:
        print(server.log()[-8000:])
        server.stop()


@pytest.fixture(scope="module")
def tokens(start, provider):
    return start(on_the_page(0, provider))


OPTIONS = """
from dask_gateway_server.options import Bool, Options, String

def cluster_options(user):
    return Options(String("groups", default=",".join(sorted(user.groups))), Bool("admin", default=user.admin))

c.Backend.cluster_options = cluster_options
"""


@pytest.fixture(scope="module")
def several(start, provider):
    return start(on_the_page(1, provider) + OPTIONS)


def test_a_user_with_a_jwt_computes(tokens, provider):
    with tokens.client(Bearer(lambda: provider.user_token("alice"))) as client:
        assert client.list_clusters() == []
        assert compute_a_sum(client) == SUM


def test_a_user_with_a_password_computes(several):
    with several.client(BasicAuth("carol", "change me")) as client:
        assert compute_a_sum(client) == SUM


def test_a_client_gets_401_with_the_challenge(tokens, provider):
    for headers in ({}, bearer("nonsense"), bearer(provider.sign(provider.claims(exp=1))), {"Authorization": "Bearer"}):
        answer = tokens.send(CLUSTERS, headers)
        assert (answer.status, answer.schemes()) == (401, ["Bearer"]), headers
        assert answer.json() == {"error": "Authentication required"} and answer.set_cookies() == {}
    with tokens.client(Bearer(lambda: "nonsense")) as client:
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            client.list_clusters()
    assert refused.value.status == 401


def test_a_client_gets_every_challenge_of_a_chain(several):
    assert several.send(CLUSTERS).schemes() == ["Bearer", "Basic"]


def test_groups_and_admin_reach_the_options_of_clusters(several, provider):
    for groups, admin in ((["users", "operators"], True), (["users"], False), ([], False)):
        token = provider.sign(provider.claims(groups=groups))
        options = several.send("/api/v1/options", bearer(token)).json()["cluster_options"]
        seen = {option["field"]: option["default"] for option in options}
        assert seen == {"groups": ",".join(sorted(groups)), "admin": admin}


def test_a_cookie_saves_the_second_login_and_never_beats_credentials(tokens, provider):
    first = tokens.send(CLUSTERS, bearer(provider.user_token("alice")))
    [cookie] = first.all("set-cookie")
    assert cookie.startswith("dask-gateway=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    jar = {"Cookie": cookie.split(";")[0]}
    again = tokens.send(CLUSTERS, jar)
    assert (again.status, again.set_cookies()) == (200, {})
    assert tokens.send(CLUSTERS, jar | bearer("nonsense")).status == 401
    flipped = {"Cookie": jar["Cookie"][:-2] + ("A" if jar["Cookie"][-2] != "A" else "B") + jar["Cookie"][-1]}
    assert tokens.send(CLUSTERS, flipped).status == 401

    with tokens.client(Bearer(lambda: provider.user_token("alice"))) as client:
        name = client.submit()
        try:
            assert list(tokens.send(CLUSTERS, jar).json()) == [name]
            bob = bearer(provider.user_token("bob"))
            assert tokens.send(CLUSTERS, jar | bob).json() == {}, "with alice's cookie, bob's token is bob"
            assert tokens.send(CLUSTERS + name, bob).status == 403
        finally:
            client.stop_cluster(name)


def test_a_cookie_ends_with_the_token(tokens, provider):
    token = provider.sign(provider.claims(exp=int(time.time()) + 30))
    [cookie] = tokens.send(CLUSTERS, bearer(token)).all("set-cookie")
    assert int(re.search(r"Max-Age=(\d+)", cookie)[1]) <= 30


@pytest.fixture(scope="module")
def scripted(start):
    return start(f"""
c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
c.WasmAuthenticator.plugin = "{build.guest_component("scripted")}"
c.WasmAuthenticator.limits = {{"deadline": "400ms", "breaker": 0}}
""")


def script(words):
    return {"Authorization": f"Script {words}"}


def test_what_a_plugin_adds_is_on_every_response(scripted):
    """The reply of Kerberos, also on an error of the server: dask's client gives up without it."""
    reply = script("grant,www-authenticate=Negotiate abc,x-more=1")
    for target, status in ((CLUSTERS, 200), (CLUSTERS + "nowhere", 404)):
        answer = scripted.send(target, reply)
        assert (answer.status, answer.all("www-authenticate"), answer.header("x-more")) == (status, ["Negotiate abc"], "1")
        assert answer.header("content-type") == "application/json; charset=utf-8" and answer.json() is not None


@pytest.mark.parametrize(
    "words, status, headers",
    [
        ("forbid", 403, {}),
        ("unavailable", 503, {"retry-after": "5"}),
        ("slow", 503, {"retry-after": "5"}),
        ("respond 302,location=/login", 302, {"location": "/login"}),
        ("respond 418,x-a=\xff", 418, {}),
    ],
)
def test_a_refusal_arrives_as_the_plugin_means_it(scripted, words, status, headers):
    answer = scripted.send(CLUSTERS, script(words))
    assert answer.status == status
    assert {name: answer.header(name) for name in headers} == headers
    assert answer.header("cache-control") == "no-store"


def test_a_client_can_not_choose_its_address(start):
    """The last address in X-Forwarded-For is of dask-gateway's own proxy, and what a client writes stands before it."""
    server = start("""
c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
c.WasmAuthenticator.plugin = "simple"
c.WasmAuthenticator.limits = {"rate": "2/h"}
""")
    forged = [basic("carol") | {"X-Forwarded-For": f"192.0.2.{n}"} for n in range(3)]
    answers = [server.send(CLUSTERS, headers) for headers in forged]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert int(answers[2].header("retry-after")) > 0


def test_the_server_goes_on_beside_plugins_that_compute(scripted):
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(scripted.send, CLUSTERS, script("slow")) for _ in range(4)]
        while not all(each.done() for each in slow):
            assert scripted.send("/api/health").json()["status"] == "pass"
            assert scripted.send(CLUSTERS, script("grant")).status == 200
        assert [each.result().status for each in slow] == [503] * 4


def test_odd_requests(several):
    assert several.send(CLUSTERS, [("Cookie", f"c{n}={n}") for n in range(40)]).status == 401
    assert several.send(CLUSTERS, {"X-Odd": "\xe4\xff"} | basic("carol", "change me")).status == 200
    assert several.send(CLUSTERS, {"Authorization": "Basic \xe4"}).status == 401
    assert several.send(CLUSTERS, basic("carol:", "change me")).status == 401


MISTAKES = [
    ("plugin = 'smple'", "built-in smple: there is no such plugin; built in are jupyterhub, jwt, kerberos, simple"),
    ("setings = {}", 'WasmAuthenticator.setings: unknown key; did you mean "settings"?'),
    ("plugin = 7", "WasmAuthenticator"),
    ("", "set either plugin or authenticators"),
    ("plugin = 'simple'; c.WasmAuthenticator.settings = {'pasword': 'x'}", 'WasmAuthenticator.settings.pasword: unknown key; did you mean "password"?'),
    ("plugin = 'simple'; c.WasmAuthenticator.limits = {'deadlin': '1s'}", 'WasmAuthenticator.limits.deadlin: unknown key; did you mean "deadline"?'),
    ("plugin = 'simple'; c.WasmAuthenticator.grants = {'header': []}", 'WasmAuthenticator.grants.header: unknown key; did you mean "headers"?'),
    ("authenticators = [{'plugn': 'simple'}]", 'authenticators[0]: the key "plugin" is missing'),
    (
        "authenticators = [{'plugin': 'simple', 'grans': {}}]",
        'WasmAuthenticator.authenticators[0].grans: unknown key; did you mean "grants"?',
    ),
    ("plugin = '/nowhere.wasm'; c.WasmAuthenticator.trust = []", "WasmAuthenticator.trust: is empty: name a key, "),
    ("plugin = 'simple'; c.WasmAuthenticator.sha256 = ''", 'WasmAuthenticator.sha256: "" is not a SHA-256'),
    ("plugin = 'simple'; c.WasmAuthenticator.http_ca = '/nowhere'", "WasmAuthenticator.http_ca: /nowhere"),
    ("authenticators = [{'name': 'simple'}]", 'authenticators[0]: the key "plugin" is missing'),
    ("plugin = 'simple'; c.WasmAuthenticator.session_keys = ['x']", "64 hexadecimal digits"),
]


@pytest.mark.parametrize("line, told", MISTAKES, ids=[line[:50] for line, _ in MISTAKES])
def test_a_mistake_ends_the_server_at_its_start(tmp_path, line, told):
    config = 'c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"\n'
    (tmp_path / "config.py").write_text(config + (f"c.WasmAuthenticator.{line}\n" if line else ""))
    command, more = command_of(tmp_path / "config.py", *free_ports(2))
    done = subprocess.run(command, env=environ | more, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


