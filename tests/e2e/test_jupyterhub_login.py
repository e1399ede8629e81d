"""People log in through a real JupyterHub: with OAuth, with their scopes, and until they log out there."""

import secrets
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from harness.browser import BEHIND_PROXY, LOGIN, ORIGIN, Browser
from harness.chromium import chromium
from harness.client import is_closed
from harness.config import SESSION, route, whoami
from harness.process import eventually
from harness.upstream import values

CALLBACK = f"{ORIGIN}/.portcullis/login/hub/callback"


def hub_login(hub, more=""):
    """The hub as `docs/dask-gateway.md` has it."""
    public = hub.public_api_url
    return SESSION + LOGIN + f"""
[authenticators.hub]
plugin = "jupyterhub"
login = true
[authenticators.hub.settings]
api_url = "{hub.api_url}"
service_name = "dask-gateway"
{more}
[authenticators.hub.settings.login]
authorize_url = "{public}/oauth2/authorize"
client_secret = "env:SECRET"
logout_url = "{public.removesuffix("/api")}/logout"
[authenticators.hub.grants]
http = ["{hub.api_url.removesuffix("/hub/api")}"]
login = ["{public}/oauth2/authorize", "{public.removesuffix("/api")}/logout"]
"""


@pytest.fixture(scope="module")
def gateway(serve_module, hub, shared_upstream):
    config = hub_login(hub) + route(shared_upstream, "hub")
    return serve_module(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET=hub.service_tokens["dask-gateway"])


class Person:
    """Somebody with a browser, at the hub and at the gateway."""

    def __init__(self, gateway, hub, name):
        self.hub, self.name = hub, name
        self.at_hub, self.browser = requests.Session(), Browser(gateway)

    def log_in(self, target="/"):
        """Follows a link to the gateway, logs in at the hub unless that is done, and comes back."""
        back = self.leave(target)
        return self.browser.open(back) if isinstance(back, str) else back

    def leave(self, target="/"):
        """The same, as far as to where the hub sends the browser back to, or to the hub's answer if it doesn't."""
        sent = self.browser.open(target)
        assert sent.status == 302, (sent.status, sent.body)
        place = self.browser.open(sent.header("location")).header("location")
        answer = self.at_hub.get(place, allow_redirects=False)
        while not answer.headers.get("location", "").startswith(CALLBACK):
            if answer.status_code == 200 and "/hub/login" in answer.url:
                form = {"username": self.name, "password": "x", "_xsrf": self.at_hub.cookies.get("_xsrf", path="/hub/")}
                answer = self.at_hub.post(answer.url, data=form, allow_redirects=False)
            elif answer.is_redirect:
                answer = self.at_hub.get(requests.compat.urljoin(answer.url, answer.headers["location"]), allow_redirects=False)
            else:
                return answer
        return answer.headers["location"]

    def log_out_of_hub(self):
        answer = self.at_hub.get(f"{self.hub.public_api_url.removesuffix('/api')}/logout")
        assert answer.ok


def test_a_user_of_the_hub_comes_back_to_the_deep_link(gateway, hub):
    alice = Person(gateway, hub, "alice")
    back = alice.log_in("/a?b=c&d=e")
    assert (back.status, back.header("location")) == (303, f"{ORIGIN}/a?b=c&d=e")
    seen = alice.browser.open("/a").json()
    assert values(seen, "x-forwarded-user") == ["alice"]
    assert values(seen, "cookie") == []


def test_a_user_without_the_scope_does_not_come_back(gateway, hub):
    """The hub itself refuses; a token without the scope would be a 403 here."""
    answer = Person(gateway, hub, "bob").log_in()
    assert answer.status_code == 403


def test_a_token_counts_more_than_a_login_and_needs_no_browser(gateway, hub):
    answer = gateway.send("/", {"Host": "gateway.example", "Authorization": f"token {hub.token('carol')}"})
    assert values(answer.json(), "x-forwarded-user") == ["carol"]
    assert gateway.send("/", {"Host": "gateway.example", "Authorization": "token none"}).status == 401


@pytest.mark.parametrize("used", [True, False])
def test_a_code_counts_once_and_in_its_own_attempt_alone(gateway, hub, used):
    """RFC 6749, section 4.1.2, and RFC 9700, section 4.5."""
    alice, thief = Person(gateway, hub, "alice"), Browser(gateway)
    back = alice.leave()
    if used:
        assert alice.browser.open(back).status == 303
    [code] = parse_qs(urlsplit(back).query)["code"]
    state = thief.begin()["state"]
    stolen = thief.open(f"/.portcullis/login/hub/callback?code={code}&state={state}")
    assert stolen.status == 401 and thief.session is None
    [line] = gateway.logged(message="login", request_id=stolen.header("x-request-id"))
    assert line["why"] == 'nobody has logged in: the provider answered "invalid_grant"'


def test_a_logout_at_the_hub_ends_the_session(serve, hub, upstream):
    """And its WebSockets, without a request: the hub is asked when the session is due."""
    config = hub_login(hub, 'cache = "1s"') + route(upstream, "hub")
    secret = hub.service_tokens["dask-gateway"]
    gateway = serve(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET=secret)
    alice, carol = Person(gateway, hub, "alice"), Person(gateway, hub, "carol")
    alice.log_in()
    carol.log_in()
    assert alice.browser.open("/").status == 200
    renewed = lambda: gateway.logged(message="decision", session_renewal="renewed")
    eventually(lambda: alice.browser.open("/").status == 200 and renewed(), "the hub is asked again")
    with alice.browser.websocket() as socket, carol.browser.websocket() as other:
        assert (socket.recv(10), other.recv(10)) == ("alice", "carol")
        alice.log_out_of_hub()
        assert is_closed(socket)
        assert alice.browser.open("/").status == 302
        assert gateway.logged(message="decision")[-1]["session_refused"] == "it was ended"
        other.send("still here")
        assert other.recv(10) == "still here"


def test_the_hub_says_where_a_logout_ends(serve, hub, upstream):
    """It takes no address to come back to, so a page of the gateway's is shown only without `logout_url`."""
    after = hub_login(hub).replace(LOGIN, f'{LOGIN}after_logout = "/goodbye"\n')
    place = f'{hub.public_api_url.removesuffix("/api")}/logout'
    without = after.replace(f'logout_url = "{place}"\n', "")
    for config, sent in [(after, f"0; url={place}"), (without, None)]:
        gateway = serve(config + route(upstream, "hub"), server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET=hub.service_tokens["dask-gateway"])
        alice = Person(gateway, hub, "alice")
        alice.log_in()
        answer = alice.browser.post("/.portcullis/logout")
        assert (answer.header("refresh"), answer.header("location")) == (sent, None if sent else "/goodbye")
        landed = alice.at_hub.get(f"{place}?next={ORIGIN}/goodbye&return_to={ORIGIN}/goodbye")
        assert urlsplit(landed.url).path == "/hub/login"


def test_the_hub_is_down(serve, hub, upstream):
    """The user reads a page, and nobody comes in."""
    config = hub_login(hub).replace(hub.api_url, "http://127.0.0.1:1/hub/api").replace(
        f'http = ["{hub.api_url.removesuffix("/hub/api")}"]', 'http = ["http://127.0.0.1:1"]'
    )
    gateway = serve(config + route(upstream, "hub"), server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET="s")
    browser = Browser(gateway)
    answer = browser.open(f"/.portcullis/login/hub/callback?code=c&state={browser.begin('/')['state']}")
    assert answer.status == 503 and browser.session is None and b"just now" in answer.body
    assert gateway.logged(message="a login could not answer")


def test_chromium_logs_in_and_out(serve, hub, authority, tmp_path):
    """By the keyboard, from a deep link, in a browser that checks cookies, redirects and policies."""
    cert, key = authority.issue("gateway.example")
    config = hub_login(hub) + whoami("hub")
    tls = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n'
    gateway = serve(tls + config, KEY=secrets.token_hex(32), SECRET=hub.service_tokens["dask-gateway"])
    address = gateway.url.removeprefix("http://")
    options = [f"--host-resolver-rules=MAP gateway.example {address}", "--ignore-certificate-errors"]
    with chromium(tmp_path, *options) as page:
        page.go(f"{ORIGIN}/deep?link=1")
        page.until("location.pathname == '/hub/login' && document.querySelector('#username_input') != null")
        page.run("document.querySelector('#username_input').value = 'alice'")
        page.run("document.querySelector('#username_input').focus()")
        page.press("Enter", 13)
        text = page.until("location.host == 'gateway.example' && document.body.innerText")
        assert "You are alice" in text
        assert page.run("location.pathname + location.search") == "/deep?link=1"
        # The way back leads past pages that were left behind, none of which is an error or a circle.
        page.go(f"{ORIGIN}/other")
        page.until("location.pathname == '/other'")
        page.run("history.back()")
        assert "You are alice" in page.until("location.pathname == '/deep' && document.body.innerText")
        page.go(f"{ORIGIN}/.portcullis/logout")
        page.until("location.pathname == '/.portcullis/logout' && document.querySelector('button') != null")
        page.run("document.querySelector('button').focus()")
        page.press("Enter", 13)
        page.until("location.pathname.startsWith('/hub/')")
        page.go(f"{ORIGIN}/deep")
        page.until("location.pathname == '/hub/login'")
        steps = [(line["step"], line["outcome"]) for line in gateway.logged(message="login")]
        assert steps == [("begin", "sent"), ("finish", "logged_in"), ("end", "logged_out"), ("begin", "sent")]
