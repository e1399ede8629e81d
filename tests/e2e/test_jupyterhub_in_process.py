"""JupyterHub logs in whoever the plugins in its own process know: the real hub, behind its real proxy."""

import re
import subprocess
from os import environ

import pytest

from harness import build, python_package
from harness.client import basic, bearer
from harness.hub_in_process import HubInProcess, command_of
from harness.in_process import starter
from harness.page import block, replaced
from harness.paths import ROOT
from harness.process import eventually, free_ports

LOGIN = "/hub/portcullis-login"
PAGE = (ROOT / "docs/python.md").read_text()
CLASS = 'c.JupyterHub.authenticator_class = "portcullis.jupyterhub.WasmAuthenticator"\n'


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    with starter(HubInProcess, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def tokens(start, provider):
    """The configuration of the page."""
    return start(replaced(block(PAGE, "JupyterHub"), {"https://idp.example": provider.issuer, "https://hub.example": provider.audience}))


@pytest.fixture(scope="module")
def scripted(start):
    return start(f"""
{CLASS}
c.WasmAuthenticator.plugin = "{build.guest_component("scripted")}"
c.WasmAuthenticator.limits = {{"deadline": "400ms", "breaker": 0}}
c.WasmAuthenticator.manage_groups = True
c.WasmAuthenticator.manage_admins = True
""")


def script(words):
    return {"Authorization": f"Script {words}"}


def named(browser, hub):
    """The user whom the hub sees in a browser."""
    page = browser.get(f"{hub.url}/hub/home")
    found = re.search(r'user: "([^"]*)"', page.text)
    return page.status_code, found and found[1]


def test_a_user_with_a_jwt_is_logged_in_and_stays_so(tokens, provider):
    browser = tokens.browser(**bearer(provider.user_token("alice")))
    assert named(browser, tokens) == (200, "alice")
    del browser.headers["Authorization"]
    assert named(browser, tokens) == (200, "alice"), "the hub's own cookie"


def test_nobody_else_is_logged_in(tokens, provider):
    for headers in ({}, bearer("nonsense"), bearer(provider.sign(provider.claims(exp=1))), basic("alice")):
        answer = tokens.send(LOGIN, headers)
        assert (answer.status, answer.schemes()) == (401, ["Bearer"]), headers
        assert not any("jupyterhub-hub-login" in name for name in answer.set_cookies())
        assert answer.header("content-type").startswith("text/html") and b"401" in answer.body
    assert named(tokens.browser(), tokens)[0] == 401


def test_a_login_leads_back_to_where_it_began_and_nowhere_else(tokens, provider):
    token = bearer(provider.user_token("alice"))
    assert tokens.send(LOGIN + "?next=/hub/token", token).header("location") == "/hub/token"
    assert "evil" not in tokens.send(LOGIN + "?next=https://evil.example/", token).header("location")


def test_the_metrics_of_plugins_are_the_hubs(tokens, provider):
    assert tokens.send(LOGIN, bearer(provider.user_token("alice"))).status == 302
    counted = 'portcullis_authenticator_calls_total{authenticator="jwt",verdict="grant"}'
    eventually(lambda: counted in tokens.send("/hub/metrics").body.decode(), "the count")


READER = "".join(f"{n:02x}" for n in range(16))
"""The token of a service that reads what the hub knows of its users."""


@pytest.fixture(scope="module")
def with_groups(start, provider):
    """Its configuration has started the engine by itself."""
    return start(f"""
import os
from portcullis import Engine
Engine(cache_directory="{python_package.CACHE}", memory=1 << 30)
{CLASS}
c.WasmAuthenticator.plugin = "jwt"
c.WasmAuthenticator.settings = {{
    "issuers": [{{"issuer": "{provider.issuer}", "audiences": ["{provider.audience}"], "discovery": True}}],
    "groups_claim": "groups",
    "admin_groups": ["operators"],
    "attributes": {{"mail": "email"}},
}}
c.WasmAuthenticator.manage_groups = True
c.WasmAuthenticator.manage_admins = True
c.WasmAuthenticator.enable_auth_state = True
c.CryptKeeper.keys = [os.urandom(32)]
c.JupyterHub.services = [{{"name": "reader", "api_token": "{READER}"}}]
c.JupyterHub.load_roles = [{{"name": "reader", "scopes": ["read:users", "admin:auth_state"], "services": ["reader"]}}]
""")


def test_groups_admin_and_what_else_is_known_reach_the_hub(with_groups, provider):
    for groups, admin in ((["users", "operators"], True), (["users"], False), ([], False)):
        token = provider.sign(provider.claims(sub="alice", groups=groups, email="alice@example.org"))
        assert with_groups.send(LOGIN, bearer(token)).status == 302
        known = with_groups.send("/hub/api/users/alice", {"Authorization": f"token {READER}"}).json()
        assert (sorted(known["groups"]), known["admin"]) == (sorted(groups), admin)
        assert known["auth_state"] == {
            "authenticator": "jwt",
            "groups": groups,
            "attributes": {"mail": ["alice@example.org"]},
        }


def test_an_engine_that_the_configuration_has_started_is_used(with_groups, provider):
    assert with_groups.send(LOGIN, bearer(provider.user_token("alice"))).status == 302
    counted = 'portcullis_authenticator_calls_total{authenticator="jwt",verdict="grant"}'
    eventually(lambda: counted in with_groups.send("/hub/metrics").body.decode(), "the count")


@pytest.mark.parametrize(
    "words, status, headers",
    [
        ("forbid", 403, {}),
        ("unavailable", 503, {"retry-after": "5"}),
        ("slow", 503, {"retry-after": "5"}),
        ("respond 302,location=/elsewhere", 302, {"location": "/elsewhere"}),
    ],
)
def test_a_refusal_arrives_as_the_plugin_means_it(scripted, words, status, headers):
    answer = scripted.send(LOGIN, script(words))
    assert answer.status == status and {name: answer.header(name) for name in headers} == headers
    assert answer.body == b"a page of its own" or not words.startswith("respond")


def test_what_a_plugin_adds_is_on_the_response(scripted):
    """The reply of Kerberos."""
    answer = scripted.send(LOGIN, script("grant,www-authenticate=Negotiate abc,x-more=1"))
    assert (answer.status, answer.all("www-authenticate"), answer.header("x-more")) == (302, ["Negotiate abc"], "1")


def test_odd_requests_are_no_failures_of_the_hub(scripted):
    assert scripted.send(LOGIN, [("Cookie", f"c{n}={n}") for n in range(40)]).status == 401
    assert scripted.send(LOGIN, {"Cookie": "; ".join(f"c{n}={n}" for n in range(100))} | script("grant")).status == 302
    assert scripted.send(LOGIN, {"Authorization": "Script \xe4\xff"}).status == 401
    assert scripted.send(LOGIN + "?next=%00&a=%ff", script("grant")).status == 302
    assert scripted.send(LOGIN, method="POST").status == 403


def test_a_form_is_no_credential(scripted):
    """Of a login form, nothing is used."""
    browser = scripted.browser()
    browser.get(f"{scripted.url}/hub/login")
    xsrf = browser.cookies.get("_xsrf", path="/hub/") or ""
    form = {"username": "alice", "password": "x", "_xsrf": xsrf}
    assert browser.post(f"{scripted.url}/hub/login", data=form).status_code == 403
    assert named(browser, scripted)[1] is None


def test_hubs_own_lists_still_hold(start):
    hub = start(f"""
{CLASS}
c.WasmAuthenticator.plugin = "simple"
c.Authenticator.allowed_users = {{"alice", "mallory"}}
c.Authenticator.blocked_users = {{"mallory"}}
""")
    assert named(hub.browser(**basic("alice")), hub) == (200, "alice")
    for name in ("bob", "mallory"):
        assert hub.send(LOGIN, basic(name)).status == 403


MISTAKES = [
    ("plugin = 'smple'", "built-in smple: there is no such plugin; built in are cedar, jupyterhub, jwt, kerberos, oidc, simple"),
    ("setings = {}", 'WasmAuthenticator.setings: unknown key; did you mean "settings"?'),
    ("", "set either plugin or authenticators"),
    ("plugin = 'simple'; c.WasmAuthenticator.settings = {'pasword': 'x'}", 'WasmAuthenticator.settings.pasword: unknown key; did you mean "password"?'),
]


@pytest.mark.parametrize("line, told", MISTAKES, ids=[line[:50] for line, _ in MISTAKES])
def test_a_mistake_ends_the_hub_at_its_start(tmp_path, line, told):
    (tmp_path / "config.py").write_text(CLASS + (f"c.WasmAuthenticator.{line}\n" if line else ""))
    command, more = command_of(tmp_path / "config.py", *free_ports(3))
    done = subprocess.run(command, env=environ | more, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr
