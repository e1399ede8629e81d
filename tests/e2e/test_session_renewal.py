"""Sessions of a login: renewed by it when they are due, once for all requests; over when it says so; kept while it can't say. The plugin
does as the tests say, and what it keeps is the script of its next answer."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from harness import build
from harness.browser import BEHIND_PROXY, LOGIN, OPENS, ORIGIN, Browser, login, user
from harness.client import ALICE
from harness.config import PEOPLE, SESSION, route
from harness.gateway import ADMIN
from harness.process import eventually

PAGE = "/.portcullis/session"
START = "/.portcullis/login/scripted"


@pytest.fixture(scope="module")
def config(shared_upstream):
    routes = route(shared_upstream, "scripted", "people") + route(
        shared_upstream, "scripted", path="/free", more="optional = true"
    )
    return ADMIN + SESSION + LOGIN + login(build.guest_component("scripted")) + PEOPLE + routes


@pytest.fixture(scope="module")
def gateway(serve_module, config):
    return serve_module(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32))


@pytest.fixture
def browser(gateway):
    return Browser(gateway)


def decided(gateway, answer):
    """The audit line of a request."""
    [line] = gateway.logged(message="decision", request_id=answer.header("x-request-id"))
    return line


def when_due(browser, of="alice"):
    """The first answer for which the session was due."""

    def due():
        answer = browser.open("/a")
        line = decided(browser.gateway, answer)
        if "session_renewal" in line:
            return answer, line
        assert user(answer) == [of]
        return None

    return eventually(due, "the session is due")


def test_a_session_goes_on_as_the_user_that_the_login_names_now(browser, gateway):
    browser.log_in(do="arrive-for 1 alice arrive-for,60,bob,x")
    before = browser.session
    answer, line = when_due(browser)
    assert user(answer) == ["bob"]
    assert (line["session"], line["session_renewal"], line["user"]) == (True, "renewed", "bob")
    assert browser.session != before and "private" in answer.header("cache-control")
    assert user(browser.open("/")) == ["bob"]
    assert gateway.metric("portcullis_session_renewals_total", authenticator="scripted", result="renewed") >= 1


def test_requests_at_the_same_time_share_one_renewal_and_late_ones_its_cookie(browser, gateway):
    browser.log_in(do="arrive-for 1 alice arrive-for,60,bob,x")
    old = dict(browser.cookies)
    calls = {"authenticator": "scripted", "function": "renew"}
    before = gateway.metric("portcullis_login_calls_total", **calls) or 0
    # A request that isn't due doesn't ask: what asks is the first one that is.
    when_due(browser)

    def late(_):
        tab = Browser(gateway)
        tab.cookies = dict(old)
        answer = tab.open("/")
        return user(answer), tab.session != old["__Host-portcullis"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(late, range(30))) == [(["bob"], True)] * 30
    assert gateway.metric("portcullis_login_calls_total", **calls) == before + 1


@pytest.mark.parametrize("kind", ["unauthenticated", "forbidden"])
def test_a_session_that_the_login_ends_is_over_everywhere(browser, gateway, kind):
    """The browser is sent to log in anew, and a copy of the cookie is worth nothing."""
    browser.log_in(do=f"arrive-for 1 alice refuse,{kind}")
    copy = browser.copy()
    answer, line = when_due(browser)
    assert (answer.status, answer.header("location")) == (302, f"{ORIGIN}{START}?to=%2Fa")
    assert (line["session_renewal"], line["session_renewal_why"]) == ("over", "requested by the test")
    assert browser.session is None
    late = copy.open("/a")
    assert late.status == 302 and decided(gateway, late)["session_refused"] == "it was ended"


@pytest.mark.parametrize("script", ["refuse,unavailable", "panic", "loop"])
def test_a_provider_that_is_down_ends_no_session_at_once(browser, script):
    browser.log_in(do=f"arrive-for 2 alice {script}")
    assert user(browser.open("/")) == ["alice"]
    before = browser.session
    answer, line = when_due(browser)
    assert (user(answer), line["session_renewal"]) == (["alice"], "kept")
    assert line["session_renewal_why"] and browser.session == before
    assert browser.gateway.logged(level="WARN", message="a login could not say whether a session goes on", login="scripted")


@pytest.mark.parametrize("kept", ["", " refuse,not-mine"])
def test_what_only_the_browser_can_tell_is_asked_through_it(browser, kept):
    """The user sees nothing of it; a script is refused, and its page may come back."""
    browser.log_in(do=f"arrive-for 1 alice{kept}")
    answer, line = when_due(browser)
    assert (answer.status, line["session_renewal"]) == (302, "silent")
    assert answer.header("location") == f"{ORIGIN}{START}?to=%2Fa&silent=1"
    script = browser.send("/a", {"Sec-Fetch-Mode": "cors", "Accept": "*/*"})
    assert script.status == 401 and script.json()["login"] == START
    # A page without users is served all the same.
    assert user(browser.open("/free")) == []
    # And credentials count.
    assert user(browser.send("/a", ALICE)) == ["alice"]


def as_script(browser, target="/a"):
    return browser.send(target, {"Sec-Fetch-Mode": "cors", "Accept": "*/*"})


def test_a_session_that_a_browser_has_renewed_admits_late_requests(browser, gateway):
    """They were sent before the browser had the new cookie."""
    browser.log_in(do="arrive-for 1 alice")
    late, copy = browser.copy(), browser.copy()
    sent, _ = when_due(browser)
    state = browser.start(sent.header("location"))["state"]
    assert as_script(late).status == 401, "the browser isn't back"
    assert browser.finish(state, "arrive-for 60 alice").status == 303
    old = late.session
    answer = as_script(late)
    assert (user(answer), decided(gateway, answer)["session_renewal"]) == (["alice"], "renewed")
    assert late.session != old and "session_renewal" not in decided(gateway, as_script(late))
    browser.post("/.portcullis/logout")
    answer = as_script(copy)
    assert (answer.status, decided(gateway, answer)["session_refused"]) == (401, "it was ended")


def test_one_tab_renews_a_session_for_all(browser, gateway):
    """A browser that opens its tabs again would otherwise begin an attempt for each, and loses all but three of them."""
    browser.log_in(do="arrive-for 1 alice")
    sent, _ = when_due(browser)
    old = dict(browser.cookies)
    calls = {"authenticator": "scripted", "function": "begin"}
    before = gateway.metric("portcullis_login_calls_total", **calls)
    state = browser.start(sent.header("location"))["state"]
    places = [f"/tab?number={number}" for number in range(5)]
    tabs = [browser.open(browser.open(place).header("location")) for place in places]
    assert {(tab.status, tab.header("cache-control")) for tab in tabs} == {(200, "no-store")} and len(browser.flows) == 1
    assert b"One moment" in tabs[0].body
    [line] = gateway.logged(message="login", request_id=tabs[0].header("x-request-id"))
    assert (line["step"], line["outcome"]) == ("begin", "waiting")
    goes_on = [tab.header("refresh").removeprefix("1; url=") for tab in tabs]
    assert goes_on[0] == f"{START}?to=%2Ftab%3Fnumber%3D0&silent=1"
    assert browser.open(goes_on[0]).status == 200, "as long as the tab isn't back"
    assert browser.finish(state, "arrive-for 60 alice").status == 303
    back = [browser.open(place) for place in goes_on]
    assert [answer.header("location") for answer in back] == [ORIGIN + place for place in places]
    assert user(browser.open(places[0])) == ["alice"]
    late = Browser(gateway)
    late.cookies = dict(old)
    assert late.open(goes_on[1]).header("location") == ORIGIN + places[1] and late.session != old["__Host-portcullis"]
    assert gateway.metric("portcullis_login_calls_total", **calls) == before + 1


def test_a_tab_goes_to_the_provider_itself_when_the_other_one_failed(browser):
    browser.log_in(do="arrive-for 1 alice")
    sent, _ = when_due(browser)
    state = browser.start(sent.header("location"))["state"]
    place = browser.open(sent.header("location")).header("refresh").removeprefix("1; url=")
    asks = browser.finish(state, "refuse not-mine")
    assert asks.header("location") == f"{START}?to=%2Fa"
    assert browser.start(place)["silent"] == "true"


def test_a_tab_that_never_comes_back_holds_up_no_other(browser):
    browser.log_in(do="arrive-for 1 alice")
    sent, _ = when_due(browser)
    browser.start(sent.header("location"))
    eventually(lambda: browser.open(sent.header("location")).status == 303, "the tab is given up")


def test_a_session_that_is_due_before_the_browser_is_back_ends_in_a_page(browser, gateway):
    """Silent flows would follow each other for ever if the way back takes longer than the login lets a session go on, or if the
    clocks of two gateways differ."""
    browser.log_in("/a", do="arrive-for 1 alice")
    for _ in range(2):
        browser.until_due()
        state = browser.start(browser.open("/a").header("location"))["state"]
        assert browser.finish(state, "arrive-for 1 alice").header("location") == f"{ORIGIN}/a"
    browser.until_due()
    answer = browser.open(browser.open("/a").header("location"))
    assert answer.status == 429 and "You keep being sent back" in answer.body.decode()
    [line] = gateway.logged(message="login", request_id=answer.header("x-request-id"))
    assert line["outcome"] == "loop" and "the session is due before the browser is back" in line["why"]
    state = browser.begin("/a")["state"]
    assert browser.finish(state, "arrive-for 60 alice").status == 303 and user(browser.open("/a")) == ["alice"]


def test_a_session_that_is_used_between_its_renewals_is_no_circle(browser):
    browser.log_in("/a", do="arrive-for 2 alice")
    for _ in range(4):
        assert user(browser.open("/a")) == ["alice"]
        browser.until_due()
        state = browser.start(browser.open("/a").header("location"))["state"]
        assert browser.finish(state, "arrive-for 2 alice").status == 303


# What the script of a page is told


def test_the_script_of_a_page_is_told_who_the_user_is_and_until_when(browser):
    assert browser.send(PAGE).json() == {"name": None}
    browser.log_in(do="arrive-for 60 alice secretkeep")
    answer = browser.send(PAGE, {"Sec-Fetch-Site": "same-origin"})
    facts = answer.json()
    renewed, ends = (datetime.fromisoformat(facts.pop(key)) for key in ("renew_at", "expires_at"))
    assert facts == {"name": "alice", "groups": [], "admin": False, "authenticator": "scripted"}
    now = datetime.now().astimezone()
    assert 0 < (renewed - now).total_seconds() <= 61 and 11 * 3600 < (ends - now).total_seconds() <= 12 * 3600 + 1
    assert answer.header("cache-control") == "no-store"
    assert "secretkeep" not in answer.body.decode() and answer.all("set-cookie") == []
    assert answer.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "none"}, 200),
        ("HEAD", {}, 200),
        ("POST", {}, 405),
        ("OPTIONS", {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}, 405),
    ],
)
def test_no_page_of_another_origin_is_told(browser, method, headers, status):
    browser.log_in()
    answer = browser.send(PAGE, headers, method)
    assert answer.status == status
    assert ("alice" in answer.body.decode()) == (status == 200 and method == "GET")


def test_a_session_by_credentials_is_told_too(serve, config):
    gateway = serve(config.replace("[authenticators.people]", '[authenticators.people]\nsettings.valid_for = "1h"'), KEY="ab12" * 16)
    cookies = gateway.send("/", ALICE).set_cookies()
    [(name, value)] = cookies.items()
    facts = gateway.send(PAGE, {"Cookie": f"{name}={value}"}).json()
    assert (facts["name"], facts["authenticator"], facts["renew_at"]) == ("alice", "people", None)


# Sessions that aren't used


def test_a_session_that_is_not_used_ends_and_use_keeps_it(serve, config):
    idle = config.replace(SESSION, SESSION + 'idle = "3s"\n')
    gateway = serve(idle, server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    used, unused = Browser(gateway), Browser(gateway)
    used.log_in()
    unused.log_in()
    first, lines = used.session, []

    def is_over():
        assert user(used.open("/")) == ["alice"]
        probe = Browser(gateway)
        # The cookie as it was: what it says is only known by asking, which isn't use as long as no answer is kept.
        probe.cookies = dict(unused.cookies)
        answer = probe.open("/")
        lines.append(decided(gateway, answer))
        return answer.status == 302

    eventually(is_over, "the session that isn't used is over", seconds=20)
    assert lines[-1]["session_refused"] == "it wasn't used for too long"
    assert used.session != first, "its cookie says that it was used"


@pytest.mark.parametrize("headers", [OPENS, ALICE])
def test_who_can_keep_a_session_gets_one(gateway, headers):
    answer = gateway.send("/", headers | ALICE)
    assert len(answer.all("set-cookie")) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Content-Type": "application/grpc"},
    ],
)
def test_who_can_not_keep_a_session_gets_none(gateway, headers):
    assert gateway.send("/", headers | ALICE).all("set-cookie") == []
