"""Logins behind every front, with its documented file: the deep link, the renewal, the logout, and programs beside them."""

import secrets

import pytest

from harness import build
from harness.browser import HTMX, OPENS, Browser, login, user
from harness.client import basic
from harness.config import SESSION
from harness.fronts import NAMES, Front, FrontGateway
from harness.process import eventually
from harness.upstream import values

ORIGIN = "http://localhost"
START = "/.portcullis/login/scripted"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    own = login(build.guest_component("scripted"), end="place https://id.example/out")
    routes = '[[routes]]\npath = "/app"\nauthenticators = ["scripted", "people"]\n'
    config = f'[login]\norigins = ["{ORIGIN}"]\n' + SESSION + own + routes
    running = FrontGateway(tmp_path_factory.mktemp("gateway"), config, KEY=secrets.token_hex(32))
    yield running
    print(running.child.output()[-8000:])
    running.stop()


@pytest.fixture(scope="module", params=NAMES)
def proxy(request, gateway, shared_upstream, tmp_path_factory):
    running = Front(request.param, tmp_path_factory.mktemp(request.param), gateway, shared_upstream)
    yield running
    running.stop()


@pytest.fixture
def browser(proxy):
    return Through(proxy)


class Through(Browser):
    """A browser whose requests go through a front."""

    def __init__(self, front):
        super().__init__(Sender(front, "localhost"), host="localhost", scheme="http")
        self.front = front

    @property
    def session(self):
        return self.cookies.get("portcullis")


class Sender:
    def __init__(self, front, host):
        self.front, self.host = front, host

    def send(self, target, headers, method, body):
        own = {name: value for name, value in headers.items() if name not in ("Host", "X-Forwarded-Proto")}
        return self.front.send(target, own, method, body, host=self.host)


def test_a_deep_link_leads_through_the_login_and_back(browser):
    sent = browser.open("/app/a?b=c&d=%2F")
    assert (sent.status, sent.header("location")) == (302, f"{ORIGIN}{START}?to=%2Fapp%2Fa%3Fb%3Dc%26d%3D%252F")
    assert sent.all("set-cookie") == []
    told = browser.start(sent.header("location"))
    assert told["redirect_uri"] == f"{ORIGIN}{START}/callback"
    back = browser.finish(told["state"])
    assert (back.status, back.header("location")) == (303, f"{ORIGIN}/app/a?b=c&d=%2F")
    assert browser.session and browser.flows == []
    seen = browser.open("/app/a?b=c")
    assert user(seen) == ["alice"] and values(seen.json(), "cookie") in ([], [""])


def told_by(front):
    """The body of a refusal behind a front. nginx keeps none, as `docs/fronts.md` says."""
    return None if front.name == "nginx" else {"error": "Authentication required", "login": START}


PROGRAMS = {
    "a program": {"Accept": "application/json"},
    "a script of a page": OPENS | {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    **{version: sent | {"HX-Current-URL": f"{ORIGIN}/app/page?a=b"} for version, sent in HTMX.items()},
}


@pytest.mark.parametrize("who", PROGRAMS)
def test_a_program_beside_it_is_told_where_people_log_in(browser, who):
    answer = browser.send("/app", PROGRAMS[who])
    assert (answer.status, answer.header("location")) == (401, None)
    assert answer.all("www-authenticate")
    if told := told_by(browser.front):
        assert (answer.header("content-type"), answer.json()) == ("application/json", told)
    else:
        assert b"login" not in answer.body
    assert answer.header("hx-redirect") == (f"{START}?to=%2Fapp%2Fpage%3Fa%3Db" if who in HTMX else None)


def test_a_program_beside_it_comes_with_credentials(browser):
    assert user(browser.send("/app", {"Accept": "*/*", **basic("carol")})) == ["carol"]


def test_a_frame_and_a_form_are_told_why_there_is_no_login(browser):
    frame = browser.send("/app/a?b=c", OPENS | {"Sec-Fetch-Dest": "iframe"})
    assert frame.status == 401 and b'href="/.portcullis/login/scripted?to=%2Fapp%2Fa%3Fb%3Dc" target="_top"' in frame.body
    assert "frame-ancestors" not in frame.header("content-security-policy")
    form = browser.post("/app/a", {"x": "y"})
    assert form.status == 401 and b"The form was not sent" in form.body
    assert b'href="/.portcullis/login/scripted?to=%2Fapp%2Fa"' in form.body


def test_a_session_is_renewed_through_it(browser):
    browser.log_in("/app", do="arrive-for 1 alice arrive,bob,kept")
    before = browser.session
    eventually(lambda: user(browser.open("/app")) == ["bob"], "the login is asked again")
    assert browser.session != before


def test_a_session_that_only_a_browser_can_renew_is_renewed_through_it(browser):
    browser.log_in("/app", do="arrive-for 1 alice refuse,not-mine")
    browser.until_due()
    sent = browser.open("/app/a?b=c")
    assert (sent.status, sent.header("location")) == (302, f"{ORIGIN}{START}?to=%2Fapp%2Fa%3Fb%3Dc&silent=1")
    back = browser.finish(browser.start(sent.header("location"))["state"], "arrive bob kept")
    assert (back.status, back.header("location")) == (303, f"{ORIGIN}/app/a?b=c")
    assert user(browser.open("/app")) == ["bob"]


def test_a_logout_ends_the_session(browser):
    browser.log_in("/app")
    answer = browser.post("/.portcullis/logout")
    assert answer.header("refresh") == f"0; url=https://id.example/out?return_to={ORIGIN}{START}/signed-out"
    assert browser.session is None
    assert browser.open(f"{START}/signed-out").status == 200
    assert browser.open("/app").status == 302


def test_a_notice_of_the_provider_comes_through_it(browser):
    browser.log_in("/app", do=f"arrive alice kept session:{browser.front.name}")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"do=handles+session:{browser.front.name}".encode()
    assert browser.send(f"{START}/notice", form, "POST", body).status == 200
    assert browser.open("/app").status == 302


def test_a_page_knows_whose_session_it_is(browser):
    assert browser.send("/.portcullis/session").json()["name"] is None
    browser.log_in("/app")
    assert browser.send("/.portcullis/session").json()["name"] == "alice"


@pytest.mark.parametrize("path", ["/.portcullis/auth/nginx", "/.portcullis", "/.portcullis/loginx", "/.portcullis/other"])
def test_nothing_else_of_the_gateway_is_shown(browser, path):
    assert browser.open(path).status in (401, 403, 404)
