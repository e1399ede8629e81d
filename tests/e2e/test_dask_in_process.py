"""dask-gateway-server authenticates its users itself, with plugins in its own process: the real server, the real client, and
clusters that compute."""

import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from os import environ
from pathlib import Path

import aiohttp
import psutil
import pytest
from dask_gateway import Gateway, GatewayClusterError
from dask_gateway.auth import BasicAuth, GatewayAuth, JupyterHubAuth

from harness import build, python_package
from harness.client import basic, bearer
from harness.dask_in_process import DaskInProcess, command_of
from harness.dask_server import Bearer, compute_a_sum
from harness.in_process import starter
from harness.kdc import REALM
from harness.kerberos import helpers, negotiate
from harness.page import block, replaced
from harness.paths import ROOT
from harness.process import eventually, free_ports

python_package.load()
from portcullis import Sessions  # noqa: E402

SUM = sum(range(1000))
CLUSTERS = "/api/v1/clusters/"
PAGE = (ROOT / "docs/python.md").read_text()


def on_the_page(title, provider):
    """A block of the page about dask-gateway, with the tests' provider."""
    places = {"https://idp.example": provider.issuer, "https://gateway.example": provider.audience}
    return replaced(block(PAGE, title), places)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    with starter(DaskInProcess, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def tokens(start, provider):
    return start(on_the_page("Users with JSON Web Tokens", provider))


OPTIONS = """
from dask_gateway_server.options import Bool, Options, String

def cluster_options(user):
    return Options(String("groups", default=",".join(sorted(user.groups))), Bool("admin", default=user.admin))

c.Backend.cluster_options = cluster_options
"""


@pytest.fixture(scope="module")
def several(start, provider):
    return start(on_the_page("Several kinds of users", provider) + OPTIONS)


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
def with_hub(start, hub):
    """The configuration of the page, with the tests' hub."""
    config = replaced(block(PAGE, "Users of a JupyterHub"), {"http://127.0.0.1:8081": hub.api_url.removesuffix("/hub/api")})
    return start(config + OPTIONS)


def test_a_user_of_the_hub_computes(with_hub, hub):
    """With dask's own client for it."""
    with with_hub.client(JupyterHubAuth(hub.token("alice"))) as client:
        assert compute_a_sum(client) == SUM
    seen = with_hub.send("/api/v1/options", {"Authorization": f"jupyterhub {hub.token('alice')}"}).json()["cluster_options"]
    assert [option["default"] for option in seen] == ["ml,staff", False]


def test_who_the_hub_does_not_let_in_is_refused(with_hub, hub):
    text, token_id = hub.mint("carol")
    hub.revoke("carol", token_id)
    for token, status in ((text, 401), ("garbage", 401), (hub.token("bob"), 403)):
        answer = with_hub.send(CLUSTERS, {"Authorization": f"jupyterhub {token}"})
        assert answer.status == status
        assert status == 403 or answer.schemes() == ["jupyterhub"]


def test_a_hub_that_is_down_is_a_503(start, unreachable):
    url = unreachable().url
    server = start(f"""
c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
c.WasmAuthenticator.plugin = "jupyterhub"
c.WasmAuthenticator.settings = {{"api_url": "{url}/hub/api", "service_name": "dask-gateway"}}
c.WasmAuthenticator.grants = {{"http": ["{url}"]}}
""")
    answer = server.send(CLUSTERS, {"Authorization": "jupyterhub any"})
    assert (answer.status, answer.header("retry-after")) == (503, "5")


@pytest.fixture
def with_tickets(start, kdc, keytab, monkeypatch):
    """The configuration of the page, with the tests' realm, helper and replay cache."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{kdc.login('alice')}")
    replay = Path(keytab).parent / "replay-in-process"
    own = f'"{keytab}", "helper": "{build.negotiate_helper()}", "replay_cache": "{replay}"'
    return start(replaced(block(PAGE, "Users with Kerberos tickets"), {"EXAMPLE.ORG": REALM, '"/etc/dask-gateway/http.keytab"': own}))


def test_a_user_with_a_ticket_computes(with_tickets):
    """With dask's own client, which gives up on an answer without the reply of Kerberos."""
    with Gateway(with_tickets.url.replace("127.0.0.1", "localhost"), auth="kerberos") as client:
        assert client.list_clusters() == []
        assert compute_a_sum(client) == SUM
        with pytest.raises((ValueError, GatewayClusterError), match="nowhere"):
            client.connect("nowhere")
    for headers in ({}, {"Authorization": "Negotiate"}, {"Authorization": "Negotiate YWJj"}, basic("alice")):
        answer = with_tickets.send(CLUSTERS, headers)
        assert (answer.status, answer.all("www-authenticate")) == (401, ["Negotiate"]), headers


def test_helpers_of_kerberos_are_replaced_and_end_with_the_server(with_tickets, kdc):
    [helper] = helpers(with_tickets)
    helper.kill()
    eventually(lambda: helpers(with_tickets) == [], "the end of the helper")

    def user():
        return with_tickets.send(CLUSTERS, negotiate(kdc.token())).status

    eventually(lambda: user() == 200, "another helper")
    left = helpers(with_tickets)
    with_tickets.stop()
    eventually(lambda: all(has_ended(each) for each in left), "the end of the helpers")


def has_ended(process):
    """Whether it runs no more, also if nobody has asked for its exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Badge(GatewayAuth):
    def pre_request(self, response):
        return {"X-Badge": "b-1"}, None


def test_a_third_partys_component_in_python_lets_its_user_compute(start):
    """A component in Python in a server in Python, which knows nothing of each other, with the configuration of the page."""
    file = build.python_component()
    config = replaced(block(PAGE, "A plugin of your own"), {"/etc/dask-gateway/badges.wasm": file})
    server = start(config + OPTIONS)
    with server.client(Badge()) as client:
        assert compute_a_sum(client) == SUM
    seen = server.send("/api/v1/options", {"X-Badge": "b-1"}).json()["cluster_options"]
    assert [option["default"] for option in seen] == ["badge-holders", False]
    assert server.send(CLUSTERS, {"X-Badge": "b-2"}).status == 401


def test_a_plugin_directory_is_followed_while_the_server_runs(start, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    shutil.copy(build.example_component("api_key"), plugins / "keys.wasm")

    def describe(key):
        (tmp_path / "new").write_text(f"[settings]\nkey = '{key}'\n[grants]\nheaders = ['x-api-key']\n")
        os.replace(tmp_path / "new", plugins / "keys.toml")

    describe("one")
    directory = replaced(block(PAGE, "A folder of plugins"), {"/etc/portcullis/plugins": str(plugins)})
    server = start('c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"\n' + directory)

    def status(key):
        return server.send(CLUSTERS, {"X-Api-Key": key}).status

    assert (status("one"), status("two")) == (200, 401)
    assert server.send(CLUSTERS, basic("carol", "change me")).status == 200
    describe("two")
    eventually(lambda: status("two") == 200, "the new key")
    assert status("one") == 401
    describe("three'\nkee = '3")
    eventually(lambda: "so the previous ones are still in use" in server.log(), "the error")
    assert 'keys.toml:3: settings.kee: unknown key; did you mean "key"?' in server.log()
    assert status("two") == 200


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


class Scripted(GatewayAuth):
    def __init__(self, words):
        self.words = words

    def pre_request(self, response):
        return script(self.words), None


@pytest.mark.parametrize("words, status, seconds", [("forbid", 403, None), ("unavailable", 503, "5"), ("slow", 503, "5")])
def test_dasks_client_is_told_of_a_refusal(scripted, words, status, seconds):
    with scripted.client(Scripted(words)) as client:
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            client.list_clusters()
    assert (refused.value.status, refused.value.headers.get("Retry-After")) == (status, seconds)


def test_servers_that_share_keys_accept_each_others_cookies(start):
    """The first key seals, and all open."""
    old, new = Sessions.generate_key(), Sessions.generate_key()

    def server(*keys):
        return start(f"""
c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
c.WasmAuthenticator.plugin = "simple"
c.WasmAuthenticator.session_keys = {list(keys)}
""")

    def cookie(server):
        [cookie] = server.send(CLUSTERS, basic("carol")).all("set-cookie")
        return {"Cookie": cookie.split(";")[0]}

    first, rotated = server(old), server(new, old)
    assert rotated.send(CLUSTERS, cookie(first)).status == 200
    assert first.send(CLUSTERS, cookie(rotated)).status == 401
    assert rotated.send(CLUSTERS, cookie(rotated)).status == 200


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
    cookies = [("Cookie", "; ".join(f"c{n}={n}" for n in range(100)))]
    assert several.send(CLUSTERS, cookies).status == 401
    assert several.send(CLUSTERS, [*cookies, *basic("carol", "change me").items()]).status == 200
    assert several.send(CLUSTERS, [("Cookie", f"c{n}={n}") for n in range(40)]).status == 401
    assert several.send(CLUSTERS, {"X-Odd": "\xe4\xff"} | basic("carol", "change me")).status == 200
    assert several.send(CLUSTERS, {"Authorization": "Basic \xe4"}).status == 401
    assert several.send(CLUSTERS, basic("carol:", "change me")).status == 401


def test_the_only_plugin_of_a_directory_needs_no_name(start, tmp_path):
    (tmp_path / "plugins").mkdir()
    shutil.copy(build.guest_component("scripted"), tmp_path / "plugins")
    server = start(f"""
c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"
c.WasmAuthenticator.plugin_directory = "{tmp_path / "plugins"}"
""")
    assert (server.send(CLUSTERS, script("grant")).status, server.send(CLUSTERS, script("forbid")).status) == (200, 403)


MISTAKES = [
    ("plugin = 'smple'", "built-in smple: there is no such plugin; built in are cedar, jupyterhub, jwt, kerberos, oidc, simple"),
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
    ("plugin = 'simple'; c.WasmAuthenticator.negotiate = {'http': {}}", 'WasmAuthenticator.negotiate.http: the key "keytab" is missing'),
    (
        "plugin = 'simple'; c.WasmAuthenticator.grants = {'negotiate': 'htp'}; c.WasmAuthenticator.negotiate = {'http': {}}",
        'WasmAuthenticator.grants.negotiate: unknown acceptor; did you mean "http"?',
    ),
    ("plugin_directory = '/nowhere'", "/nowhere: "),
    ("authenticators = ['keys']", "authenticators[0]: names a plugin of `plugin_directory`, which isn't set"),
    ("plugin = 'simple'; c.WasmAuthenticator.plugin_directory = '.'", "set either plugin or authenticators, or a plugin_directory"),
    ("plugin_directory = '.'", "authenticators: name the plugins of . in the order in which they are asked; there is none"),
    ("plugin_directory = '.'; c.WasmAuthenticator.authenticators = ['keys']", "authenticators[0]: keys: unknown plugin; there are none"),
    ("plugin_directory = '.'; c.WasmAuthenticator.trust = ['x']", "WasmAuthenticator.trust[0]: "),
    ("plugin_directory = '.'; c.WasmAuthenticator.settings = {'a': 1}", "WasmAuthenticator.settings: belongs to `plugin`, which isn't set"),
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


