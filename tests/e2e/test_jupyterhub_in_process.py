"""JupyterHub logs in whoever the plugins in its own process know: the real hub, behind its real proxy."""

import re
import subprocess
from os import environ

import pytest

from harness import build
from harness.client import basic, bearer
from harness.dask_stack import replaced
from harness.hub_in_process import HubInProcess, command_of
from harness.in_process import starter
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
    [block] = re.findall(r"(?ms)^```python\n(c.JupyterHub.authenticator_class.*?)^```", PAGE)
    return start(replaced(block, {"https://idp.example": provider.issuer, "https://hub.example": provider.audience}))


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
    assert scripted.send(LOGIN, {"Authorization": "Script \xe4\xff"}).status in (401, 503)
    assert scripted.send(LOGIN + "?next=%00&a=%ff", script("grant")).status in (302, 400)
    assert scripted.send(LOGIN, method="POST").status in (403, 405)


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
