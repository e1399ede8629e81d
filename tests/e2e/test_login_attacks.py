"""What attackers try with logins, by the numbers of the table "Logins" in `docs/security-cases.md`. What a provider may lie about is
tested with the plugins."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from harness import build
from harness.browser import BEHIND_PROXY, LOGIN, OPENS, ORIGIN, Browser, asked, login, user
from harness.config import SESSION, route
from harness.gateway import ADMIN
from harness.upstream import values

START = "/.portcullis/login/scripted"
CALLBACK = f"{START}/callback"


@pytest.fixture(scope="module")
def component():
    return build.guest_component("scripted")


@pytest.fixture(scope="module")
def config(component, shared_upstream):
    routes = [route(shared_upstream, "scripted"), route(shared_upstream, "other", path="/other")]
    return ADMIN + SESSION + LOGIN + login(component) + login(component, name="other") + "".join(routes)


@pytest.fixture(scope="module")
def gateway(serve_module, config):
    return serve_module(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32))


@pytest.fixture
def browser(gateway):
    return Browser(gateway)


ELSEWHERE = [
    "//evil.example", "/\\evil.example", "/\t/evil.example", "/%09/evil.example", "/%5cevil.example", "https://evil.example",
    "https:evil.example", "https://gateway.example.evil.example", "javascript:alert(1)", "/.portcullis/logout", "/..//evil.example",
    "@evil.example", "a", "", "/\r\nSet-Cookie: a=b",
]  # fmt: skip


@pytest.mark.parametrize("place", ELSEWHERE)
def test_login_01_nobody_is_sent_to_another_site(browser, place):
    """And 2, 3: one check is for the start, the choice and the callback."""
    state = browser.start(f"{START}?to={quote(place, safe='')}")["state"]
    assert browser.finish(state).header("location") == f"{ORIGIN}/"
    chosen = browser.open(f"/.portcullis/login?to={quote(place, safe='')}")
    assert chosen.header("location") == f"{START}?to=%2F"


@pytest.mark.parametrize("place", ELSEWHERE)
def test_login_03_a_logout_leads_nobody_to_another_site(browser, place):
    """Whatever a link or a form says: where a logout ends is configured."""
    browser.log_in()
    query = "&".join(f"{name}={quote(place, safe='')}" for name in ("to", "return_to", "post_logout_redirect_uri"))
    for answer in [
        browser.open(f"/.portcullis/logout?{query}"),
        browser.post(f"/.portcullis/logout?{query}", {"to": place, "return_to": place}),
        browser.open(f"{START}/signed-out?{query}"),
    ]:
        assert answer.status in (200, 303)
        said = [answer.header("location") or "", answer.header("refresh") or "", answer.body.decode()]
        assert not any("evil" in text or "alert(1)" in text for text in said), said
    assert browser.session is None


def test_login_04_an_attackers_code_logs_nobody_in(gateway, browser):
    attacker = Browser(gateway)
    state = attacker.begin("/")["state"]
    answer = browser.finish(state)
    assert (answer.status, browser.session, answer.header("location")) == (400, None, None)
    [line] = gateway.logged(message="login", request_id=answer.header("x-request-id"))
    assert (line["outcome"], line.get("duration_us")) == ("refused", None)


MALFORMED = ["", "code=a", "state=", "state=a", f"state={'a' * 22}", f"state={'a' * 5000}", "state=%ff", "state[]=a", "&&&=&"]


@pytest.mark.parametrize("query", MALFORMED)
def test_login_05_a_callback_without_its_parts_is_a_400(browser, query):
    browser.begin("/")
    assert browser.open(f"{CALLBACK}?{query}").status == 400
    assert browser.open(CALLBACK).status == 400


@pytest.mark.parametrize("rest", ["", "&code=", "&iss=https://id.example", "&code=&error="])
def test_login_05_a_callback_without_an_answer_is_a_400(gateway, browser, rest):
    state = browser.begin("/")["state"]
    answer = browser.open(f"{CALLBACK}?state={state}{rest}")
    assert answer.status == 400 and b"This login can&#39;t go on" in answer.body, answer.body
    [line] = gateway.logged(message="login", request_id=answer.header("x-request-id"))
    assert (line["step"], line["outcome"], line["status"], line.get("duration_us")) == ("finish", "refused", 400, None)
    assert line["why"] == "it has no answer of the provider, such as a code or an error"
    assert browser.finish(state).status == 303, "the attempt goes on"


def test_login_06_a_state_counts_for_its_own_attempt_alone(gateway, config, serve, browser):
    state = browser.begin("/")["state"]
    assert browser.finish(state, login="other").status == 400, "another authenticator"
    assert Browser(gateway).finish(state).status == 400, "another browser"
    second = serve(config.replace(f'["{ORIGIN}"]', f'["{ORIGIN}", "https://second.example"]'), server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    elsewhere, at = Browser(second), Browser(second, host="second.example")
    at.cookies, state = elsewhere.cookies, elsewhere.begin("/")["state"]
    assert at.finish(state).status == 400, "another origin"
    assert elsewhere.finish(state[:8] + "a" * 14).status == 400, "another state of the same cookie"
    assert elsewhere.finish(state).status == 303


def test_login_08_a_callback_is_exchanged_once(gateway, browser):
    state = browser.begin("/")["state"]
    kept = dict(browser.cookies)
    before = gateway.metric("portcullis_login_calls_total", function="finish") or 0
    barrier = threading.Barrier(4)

    def once(_):
        tab = Browser(gateway)
        tab.cookies = dict(kept)
        barrier.wait(10)
        return tab.finish(state), tab.session

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(once, range(4)))
    assert {answer.status for answer, _ in answers} == {303}
    assert len({session for _, session in answers}) == 1, "no second session"
    again = Browser(gateway)
    again.cookies = dict(kept)
    assert again.finish(state).status == 303 and again.session == answers[0][1]
    assert gateway.metric("portcullis_login_calls_total", function="finish") == before + 1


def test_login_09_a_callback_has_each_parameter_once_and_no_body(browser):
    state = browser.begin("/")["state"]
    for query in (f"state={state}&state={state}", f"state={state}&code=a&code=b", f"state={state}&code=a&c%6fde=b"):
        assert browser.open(f"{CALLBACK}?{query}").status == 400, query
    for method in ("POST", "PUT", "HEAD"):
        answer = browser.send(f"{CALLBACK}?state={state}", OPENS, method)
        assert (answer.status, answer.header("allow")) == (405, "GET"), method


def test_login_10_what_a_provider_says_is_no_part_of_a_page(gateway, browser):
    state = browser.begin("/")["state"]
    answer = browser.finish(state, "refuse unauthenticated", error="<b>x", error_description="<script>alert(1)</script>")
    assert answer.status == 401 and b"script>" not in answer.body and b"<b>" not in answer.body


FORGED = {
    "a host": {"host": "evil.example"},
    "a host with a port": {"host": "gateway.example:8443"},
    "a host that begins like ours": {"host": "gateway.example.evil.example"},
    "a scheme": {"scheme": "http"},
}


@pytest.mark.parametrize("what", FORGED)
def test_login_14_at_another_origin_nobody_is_sent_anywhere(gateway, what):
    browser = Browser(gateway, **FORGED[what])
    answer = browser.open("/a")
    assert (answer.status, answer.header("location")) == (401, None)
    assert browser.open(f"{START}?to=/a").status == 400 and browser.flows == []


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Prefix", "X_Forwarded_Host", "Forwarded", "X-Original-URL"])
def test_login_14_no_header_chooses_the_origin(browser, name):
    answer = browser.open("/a", **{name: "evil.example"})
    assert answer.header("location") == f"{ORIGIN}{START}?to=%2Fa"


def test_login_15_an_origin_is_spelt_in_one_way(gateway):
    browser = Browser(gateway, host="GATEWAY.example:443")
    assert browser.open("/a").header("location") == f"{ORIGIN}{START}?to=%2Fa"


def test_login_16_a_cookie_counts_for_its_purpose_alone(browser):
    """An attempt isn't a session, and a session isn't an attempt."""
    state = browser.begin("/")["state"]
    [flow] = browser.flows
    sealed = browser.cookies[flow]
    browser.cookies = {"__Host-portcullis": sealed}
    assert browser.open("/").status == 302
    browser.cookies = {}
    browser.log_in()
    browser.cookies[f"__Host-portcullis-flow-{state[:8]}"] = browser.session
    assert browser.finish(state).header("location") == "/", "as without an attempt"


@pytest.mark.parametrize("query", ["token=x", "code=x", "code=x&state=y", "id_token=x", "access_token=x"])
def test_login_17_parameters_on_other_paths_mean_nothing(browser, query):
    answer = browser.open(f"/a?{query}")
    assert answer.status == 302 and answer.header("location").endswith(quote(f"/a?{query}", safe=""))
    assert browser.session is None


def test_login_18_a_planted_session_does_not_survive_a_login(gateway, browser):
    attacker = Browser(gateway)
    attacker.log_in(do="arrive mallory kept")
    planted = attacker.session
    browser.cookies["__Host-portcullis"] = planted
    browser.finish(browser.start(f"{START}?to=/")["state"])
    assert browser.session != planted
    assert values(browser.open("/").json(), "x-forwarded-user") == ["alice"]
    assert attacker.open("/").status == 302


def test_login_20_of_two_sessions_none_counts(browser):
    """Nor do they bar the way: a login replaces them by one, which counts."""
    browser.log_in()
    twice = f"__Host-portcullis={browser.session}; __Host-portcullis=tossed"
    browser.cookies = {}
    sent = browser.open("/a", Cookie=twice)
    assert sent.status == 302
    state = asked(browser.open(sent.header("location"), Cookie=twice))["state"]
    [flow] = browser.flows
    back = f"{CALLBACK}?state={state}&do=arrive+alice+kept"
    assert browser.open(back, Cookie=f"{twice}; {flow}={browser.cookies[flow]}").header("location") == f"{ORIGIN}/a"
    assert user(browser.open("/a")) == ["alice"]


def test_login_21_a_cookie_is_removed_with_the_attributes_it_was_set_with(browser):
    state = browser.begin("/")["state"]
    back = browser.finish(state)
    out = browser.post("/.portcullis/logout")
    for line in [*back.all("set-cookie"), *out.all("set-cookie")]:
        assert line.startswith("__Host-portcullis") and "; Secure; Path=/" in line and "Domain" not in line, line
    assert browser.session is None


def test_login_22_a_late_answer_revives_no_session(browser):
    """The answer to a request of another tab, or a copy, brings the cookie back after the logout."""
    browser.log_in()
    late = dict(browser.cookies)
    browser.post("/.portcullis/logout")
    browser.cookies = late
    assert browser.open("/").status == 302


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_login_23_only_a_form_of_this_site_logs_out(browser, method):
    browser.log_in()
    browser.send("/.portcullis/logout", OPENS | {"Sec-Fetch-Dest": "image"}, method)
    foreign = browser.post("/.portcullis/logout", **{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})
    assert foreign.status == 403
    assert browser.session and browser.open("/").status == 200


NOTICES = {
    "no form": ({"Content-Type": "application/json"}, b"{}"),
    "no body": ({}, b""),
    "a parameter twice": ({}, b"do=handles+a&do=handles+b"),
    "a token that is none": ({}, b"logout_token=x"),
    "too many": ({}, "&".join(f"p{n}=x" for n in range(100)).encode()),
    "no text": ({}, b"do=\xff\xfe%ff"),
    "too large": ({}, b"do=" + b"x" * (1 << 20)),
    "refused": ({}, b"do=refuse+unauthenticated"),
}


@pytest.mark.parametrize("what", NOTICES)
def test_login_24_a_notice_that_is_none_ends_no_session(gateway, browser, what):
    browser.log_in()
    headers, body = NOTICES[what]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = Browser(gateway).send(f"{START}/notice", form | headers, "POST", body)
    expected = 503 if what in ("no body", "a token that is none") else 400
    assert (answer.status, answer.header("cache-control")) == (expected, "no-store")
    assert Browser(gateway).send(f"{START}/notice?do=handles+session:1", form, "GET").status == 405
    assert browser.open("/").status == 200


@pytest.mark.parametrize("place", ["frontchannel", "front-channel-logout", "logout", "notice/x", "callback/x"])
def test_login_25_there_is_no_logout_that_anybody_can_make_a_browser_do(browser, place):
    browser.log_in()
    assert browser.open(f"{START}/{place}?iss=https://id.example&sid=1").status == 404
    assert browser.open("/").status == 200


def websocket(browser, **headers):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="}
    return browser.send("/", upgrade | headers).status


def test_login_28_a_websocket_needs_a_session_and_a_page_of_this_site(browser):
    assert websocket(browser, Origin=ORIGIN) == 401
    browser.log_in()
    for origin in ("https://evil.example", "null", "https://sibling.gateway.example"):
        assert websocket(browser, Origin=origin) == 403, origin
    assert websocket(browser, Origin=ORIGIN) not in (401, 403)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_login_29_fetch_metadata_grants_nothing(browser, site):
    made_up = OPENS | {"Sec-Fetch-Site": site, "Sec-Fetch-User": "?1"}
    assert browser.send("/", made_up).status == 302
    assert browser.send("/", made_up | {"Accept": "*/*"}).status == 401


def test_login_30_cookies_that_look_like_attempts_are_bounded(browser):
    browser.cookies = {f"__Host-portcullis-flow-{n:08}": "x" for n in range(200)}
    away = browser.open(f"{START}?to=/")
    assert away.status == 303 and len(away.all("set-cookie")) <= 33
    browser.cookies = {f"__Host-portcullis_{n}": "x" * 100 for n in range(20)} | {"__Host-portcullis-chunks": "20"}
    assert browser.open("/").status == 302
    large = Browser(browser.gateway)
    large.cookies = {"a": "x" * (64 << 10)}
    assert large.open("/").status in (400, 431)


def test_login_31_the_page_of_a_login_has_nothing_of_the_upstream(browser, upstream):
    answer = browser.open("/a")
    assert answer.status == 302 and answer.body == b"" and upstream.seen == []


@pytest.mark.parametrize("body", [b"", b"a=b"])
def test_login_32_a_form_without_a_session_goes_nowhere(browser, upstream, body):
    form = OPENS | {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.send("/a", form, "POST", body).status == 401
    assert upstream.seen == []


def test_login_33_no_secret_leaves_in_an_address(browser):
    """The log is searched in `test_login.py`."""
    state = browser.begin("/")["state"]
    back = browser.finish(state, code="secretcode")
    assert back.header("referrer-policy") == "no-referrer"
    for secret in (state, "secretcode"):
        assert secret not in back.header("location")
        assert secret not in str(browser.open("/").json())


@pytest.mark.parametrize("place", ["https://evil.example/authorize", "https://id.example/authorize2", "//id.example/authorize", "/a"])
def test_login_34_a_plugin_sends_browsers_only_where_it_may(serve, component, upstream, place):
    config = SESSION + LOGIN + login(component, begin=f"go {place} 0", end=f"place {place}") + route(upstream, "scripted")
    gateway = serve(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    browser = Browser(gateway)
    answer = browser.open(f"{START}?to=/")
    assert (answer.status, answer.header("location"), browser.flows) == (503, None, [])
    assert "grants.login doesn't cover" in gateway.logged(message="a login could not answer")[0]["why"]
    assert browser.post("/.portcullis/logout?login=scripted").header("refresh") is None
