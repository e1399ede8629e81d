"""Logins with a browser: who is sent where, who comes back, and what people and programs are told. The plugin does as the tests say;
those of `test_login_attacks.py` are told by somebody else."""

import secrets
from urllib.parse import quote

import pytest

from harness import build
from harness.browser import BEHIND_PROXY, HOST, HTMX, LOGIN, OPENS, ORIGIN, Browser, login, user
from harness.chromium import chromium
from harness.config import PEOPLE, SESSION, route
from harness.gateway import run
from harness.paths import PEERS
from harness.process import eventually
from harness.upstream import values

START = "/.portcullis/login/scripted"


@pytest.fixture(scope="module")
def component():
    return build.guest_component("scripted")


@pytest.fixture(scope="module")
def config(component, shared_upstream):
    second = login(component, name="other", lines='title = "The <other> way"\n')
    routes = [
        route(shared_upstream, "scripted"),
        route(shared_upstream, "scripted", "other", path="/both"),
        route(shared_upstream, "people", path="/basic"),
        route(shared_upstream, "scripted", path="/free", more="optional = true"),
    ]
    own = login(component, end="place https://id.example/out")
    return SESSION + LOGIN + own + second + PEOPLE + "".join(routes)


@pytest.fixture(scope="module")
def gateway(serve_module, config):
    return serve_module(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32))


@pytest.fixture
def browser(gateway):
    return Browser(gateway)


def test_a_deep_link_leads_through_the_login_and_back(browser):
    sent = browser.open("/a/b?c=d&e=%2F%20f")
    place = quote("/a/b?c=d&e=%2F%20f", safe="").replace("%20", "+")
    assert (sent.status, sent.header("location")) == (302, f"{ORIGIN}{START}?to={place}")
    assert (sent.all("set-cookie"), sent.header("cache-control")) == ([], "no-store")
    away = browser.open(sent.header("location"))
    assert away.status == 303 and away.header("location").startswith("https://id.example/authorize?state=")
    assert (away.header("cache-control"), away.header("referrer-policy")) == ("no-store", "no-referrer")
    [cookie] = away.all("set-cookie")
    assert cookie.startswith("__Host-portcullis-flow-") and "; HttpOnly; SameSite=Lax; Secure; Path=/" in cookie
    told = Browser.start(Browser(browser.gateway), sent.header("location"))
    assert told["redirect_uri"] == f"{ORIGIN}{START}/callback"
    state = browser.start(sent.header("location"))["state"]
    back = browser.finish(state)
    assert (back.status, back.header("location")) == (303, f"{ORIGIN}/a/b?c=d&e=%2F%20f")
    assert back.header("referrer-policy") == "no-referrer"
    assert user(browser.open("/a/b?c=d&e=%2F%20f")) == ["alice"]


def test_the_upstream_sees_nothing_of_the_login(browser):
    browser.log_in()
    browser.cookies |= {"theirs": "1", "__Host-portcullis-flow-abcdefgh": "x"}
    seen = browser.open("/").json()
    assert values(seen, "cookie") == ["theirs=1"]


PROGRAMS = {
    "a script": {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    "an image": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    "a program": {"Accept": "*/*", "Sec-Fetch-Mode": None, "Sec-Fetch-Dest": None},
    "old scripts": {"X-Requested-With": "XMLHttpRequest"},
    "a prefetch": {"Sec-Purpose": "prefetch;prerender"},
    "an old prefetch": {"Purpose": "prefetch"},
    "credentials that nobody knows": {"Authorization": "Token x"},
    "a WebSocket": {"Upgrade": "websocket", "Connection": "Upgrade"},
    "a worker": {"Sec-Fetch-Dest": "worker"},
}


@pytest.mark.parametrize("who", PROGRAMS)
def test_a_program_is_told_where_people_log_in(browser, who):
    headers = {name: value for name, value in (OPENS | PROGRAMS[who]).items() if value}
    answer = browser.send("/a", headers)
    assert (answer.status, answer.header("location")) == (401, None)
    assert answer.json() == {"error": "Authentication required", "login": START}
    assert (answer.schemes(), answer.all("set-cookie")) == (["Script"], [])


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_no_other_method_is_redirected(browser, method):
    assert browser.send("/a", OPENS, method).status == 401


def test_a_browser_without_fetch_metadata_is_redirected(browser):
    assert browser.send("/a", {"Accept": OPENS["Accept"]}).status == 302


@pytest.mark.parametrize(
    ("page", "to"),
    [
        (f"{ORIGIN}/page?a=b", "%2Fpage%3Fa%3Db"),
        (f"{ORIGIN}/page?a=b#part", "%2Fpage%3Fa%3Db"),
        ("https://evil.example/page", "%2F"),
        (f"{ORIGIN}.evil.example/page", "%2F"),
        ("http://gateway.example/page", "%2F"),
        ("//evil.example/page", "%2F"),
        ("x", "%2F"),
        (None, "%2F"),
    ],
)
@pytest.mark.parametrize("version", HTMX)
def test_htmx_is_told_in_its_own_way(browser, version, page, to):
    """It comes back to the page, whose part it has asked for. No other site's page counts."""
    answer = browser.send("/part", HTMX[version] | ({"HX-Current-URL": page} if page else {}))
    assert (answer.status, answer.header("hx-redirect"), answer.header("location")) == (401, f"{START}?to={to}", None)
    assert answer.json()["login"] == START


@pytest.mark.parametrize("version", HTMX)
def test_htmx_goes_where_it_is_told(serve, config, upstream, authority, tmp_path, version):
    """The real one, in Chromium: it asks for a part of a page, and the browser goes to log in and would come back to the page."""
    cert, key = authority.issue(HOST)
    tls = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n'
    public = route(upstream, "scripted", "other", path="/open", more="optional = true")
    gateway = serve(tls + config + public, KEY=secrets.token_hex(32))
    options = [f"--host-resolver-rules=MAP {HOST} {gateway.url.removeprefix('http://')}", "--ignore-certificate-errors"]
    with chromium(tmp_path, *options) as page:
        page.visit(f"{ORIGIN}/open/page?a=b")
        page.run((PEERS / "node_modules" / version.replace(" ", "") / "dist" / "htmx.min.js").read_text())
        page.run("void htmx.ajax('GET', '/both/part', document.body)")
        page.until("location.pathname == '/.portcullis/login'")
        assert page.run("location.search") == "?to=%2Fopen%2Fpage%3Fa%3Db"


def test_a_frame_gets_a_page_with_a_way_out(browser):
    answer = browser.open("/a", Sec_Fetch_Dest="iframe")
    assert answer.status == 401
    assert f'<a href="{START}?to=%2Fa" target="_top">Log in</a>' in answer.body.decode()
    assert "frame-ancestors" not in answer.header("content-security-policy")


def test_a_form_that_was_not_sent_is_told(browser):
    answer = browser.post("/a", {"text": "long"})
    assert answer.status == 401
    assert "The form was not sent" in answer.body.decode()


def test_of_several_logins_one_is_chosen(browser):
    sent = browser.open("/both/x?y=z")
    assert (sent.status, sent.header("location")) == (302, f"{ORIGIN}/.portcullis/login?to=%2Fboth%2Fx%3Fy%3Dz")
    page = browser.open(sent.header("location"))
    text = page.body.decode()
    assert page.status == 200 and page.all("set-cookie") == []
    assert '<a href="/.portcullis/login/scripted?to=%2Fboth%2Fx%3Fy%3Dz">scripted</a>' in text
    assert '<a href="/.portcullis/login/other?to=%2Fboth%2Fx%3Fy%3Dz">The &lt;other&gt; way</a>' in text
    state = browser.start("/.portcullis/login/other?to=%2Fboth%2Fx%3Fy%3Dz")["state"]
    assert browser.finish(state, login="other").status == 303
    assert user(browser.open("/both")) == ["alice"]
    # The session counts where its login is on the route.
    assert browser.open("/").status == 302


def test_people_log_in_at_each_origin(serve, config):
    """Pain 18: each comes back to where they were, with a session for that host."""
    hosts = [HOST, "second.example"]
    origins = config.replace(LOGIN, f'[login]\norigins = {[f"https://{host}" for host in hosts]}\n')
    gateway = serve(origins, server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    for host in hosts:
        browser = Browser(gateway, host)
        sent = browser.open("/a?b=c")
        assert sent.header("location") == f"https://{host}{START}?to=%2Fa%3Fb%3Dc"
        told = browser.start(sent.header("location"))
        assert told["redirect_uri"] == f"https://{host}{START}/callback"
        assert browser.finish(told["state"]).header("location") == f"https://{host}/a?b=c"
        assert user(browser.open("/a?b=c")) == ["alice"]
        assert browser.post("/.portcullis/logout").header("refresh").endswith(f"return_to=https://{host}{START}/signed-out")


def test_where_there_is_no_choice_the_login_begins(browser):
    answer = browser.open("/.portcullis/login?to=%2Fa")
    assert (answer.status, answer.header("location")) == (303, f"{START}?to=%2Fa")


def test_other_routes_send_nobody_away(browser):
    assert browser.open("/basic").status == 401
    assert user(browser.open("/free")) == []


def test_an_optional_route_links_to_the_login(browser):
    state = browser.start(f"{START}?to=/free")["state"]
    browser.finish(state)
    assert user(browser.open("/free")) == ["alice"]


def test_two_tabs_do_not_disturb_each_other(browser):
    """Pain 1."""
    first, second = browser.begin("/first"), browser.begin("/second")
    assert len(browser.flows) == 2
    assert browser.finish(second["state"]).header("location") == f"{ORIGIN}/second"
    assert browser.finish(first["state"], "arrive bob kept").header("location") == f"{ORIGIN}/first"
    assert user(browser.open("/")) == ["bob"]
    assert browser.flows == []


def test_attempts_do_not_pile_up(browser):
    """Pain 2."""
    states = [browser.begin(f"/{n}")["state"] for n in range(5)]
    assert len(browser.flows) == 3
    assert browser.finish(states[0]).status == 400
    assert browser.finish(states[4]).status == 303


@pytest.mark.parametrize("more", [{"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "no-cors"}, {"Sec-Purpose": "prefetch"}])
def test_only_who_opens_a_page_begins_an_attempt(browser, more):
    """Pain 2: scripts, images and prefetches leave no cookies."""
    answer = browser.send(f"{START}?to=/", OPENS | more)
    assert (answer.status, answer.header("location"), browser.flows) == (401, None, [])
    assert answer.json()["login"] == START


def test_a_late_tab_goes_on(browser):
    """Pain 23: the other tab has logged in meanwhile."""
    state = browser.begin("/late")["state"]
    browser.log_in("/")
    browser.cookies = {name: value for name, value in browser.cookies.items() if "-flow-" not in name}
    late = browser.finish(state)
    assert (late.status, late.header("location")) == (303, "/")


def test_a_browser_that_keeps_coming_back_is_told(browser):
    """Pain 19: the session cookie is lost on the way."""
    for _ in range(3):
        browser.log_in("/a")
        del browser.cookies["__Host-portcullis"]
    answer = browser.open(browser.open("/a").header("location"))
    assert answer.status == 429 and "You keep being sent back" in answer.body.decode()
    assert browser.open(f"{START}?to=%2Fa").status == 303


REFUSED = {
    "unauthenticated": (401, "You are not logged in"),
    "forbidden": (403, "You may not come in here"),
    "unavailable": (503, "You can&#39;t log in just now"),
    "respond": (503, "You can&#39;t log in just now"),
    "not-mine": (401, "You are not logged in"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_who_does_not_come_in_reads_why(gateway, kind):
    browser = Browser(gateway)
    status, title = REFUSED[kind]
    answer = browser.finish(browser.begin("/a")["state"], f"refuse {kind}")
    text = answer.body.decode()
    assert (answer.status, answer.header("location")) == (status, None)
    assert f"<h1>{title}</h1>" in text and answer.header("x-request-id") in text
    assert "requested by the test" not in text
    assert browser.session is None and browser.flows == []
    line = gateway.logged(message="login", request_id=answer.header("x-request-id"))[-1]
    assert line["login"] == "scripted" and line["step"] == "finish" and line["status"] == status
    assert ("requested by the test" in line["why"]) == (kind not in ("respond", "not-mine"))


@pytest.mark.parametrize("do", ["panic", "loop"])
def test_a_login_that_fails_lets_nobody_in(browser, gateway, do):
    answer = browser.finish(browser.begin("/a")["state"], do)
    assert answer.status == 503 and browser.session is None
    assert gateway.logged(message="a login could not answer")


SORRY = (503, ["You can&#39;t log in just now", "Try again in a while"])
FAILED = "a login could not answer"
TRAPS = {
    # The settings, what is done, the status and what is shown, and the line of the log.
    "begin": ({"begin": "panic"}, lambda browser: browser.open(f"{START}?to=/"), *SORRY, FAILED),
    "finish": ({}, lambda browser: browser.finish(browser.begin()["state"], "panic"), *SORRY, FAILED),
    "renew": ({}, lambda browser: _due(browser), 200, ["alice"], "a login could not say whether a session goes on"),
    "end": ({"end": "panic"}, lambda browser: browser.log_in() and browser.post("/.portcullis/logout"), 200, ["You are signed out"], FAILED),
    "notice": ({}, lambda browser: browser.post(f"{START}/notice", {"do": "panic"}), 503, ["temporarily_unavailable"], FAILED),
}


def _due(browser):
    """A session whose renewal traps goes on for a while, as if the provider were down."""
    browser.log_in(do="arrive-for 1 alice panic")
    browser.until_due()
    return browser.open("/")


@pytest.mark.parametrize("function", TRAPS)
def test_a_trap_in_any_function_lets_nobody_in(serve, component, upstream, function):
    """A trap at a logout leaves no session: it ends here, and the browser isn't sent to the provider. Each page says what
    to do, and the log says why."""
    settings, do, status, shown, message = TRAPS[function]
    config = SESSION + LOGIN + login(component, **settings) + route(upstream, "scripted")
    gateway = serve(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    browser = Browser(gateway)
    answer = do(browser)
    assert answer.status == status and answer.header("location") is None
    assert [text for text in shown if text not in answer.body.decode()] == []
    assert (browser.session is not None) == (function == "renew")
    [warning] = gateway.logged(level="WARN", message=message, request_id=answer.header("x-request-id"))
    assert "it panicked or aborted" in warning["why"] and "requested by the test" in warning["why"]
    if function == "renew":
        [line] = gateway.logged(message="decision", session_renewal="kept")
        assert (line["authenticator"], line["session_renewal_why"]) == ("scripted", warning["why"])
    else:
        [line] = gateway.logged(message="login", step=function)
        assert (line["outcome"], line["why"], warning["step"], warning["login"]) == ("fail", warning["why"], function, "scripted")


def test_a_session_that_does_not_fit_is_told(browser, gateway):
    """Pain 3: an error page, and no circle."""
    answer = browser.finish(browser.begin("/a")["state"], "arrive alice 2048 +1000")
    assert answer.status == 403 and "You can&#39;t stay logged in" in answer.body.decode()
    assert browser.session is None
    assert gateway.logged(message="somebody has logged in and gets no session: let the plugin take over fewer groups and attributes")


def test_logout_ends_the_session_here_and_at_the_provider(browser):
    browser.log_in()
    copy = browser.copy()
    asks = browser.open("/.portcullis/logout")
    assert asks.status == 200 and "<button>Sign out</button>" in asks.body.decode() and browser.session
    answer = browser.post("/.portcullis/logout")
    place = f"https://id.example/out?return_to={ORIGIN}{START}/signed-out"
    assert (answer.status, answer.header("refresh")) == (200, f"0; url={place}")
    assert f'<a href="{place}">Go on</a>' in answer.body.decode()
    assert browser.session is None
    landed = browser.open(f"{START}/signed-out")
    assert landed.status == 200 and "You are signed out" in landed.body.decode()
    assert (browser.open("/").status, copy.open("/").status) == (302, 302)


def test_a_program_logs_out_too(browser):
    browser.log_in()
    copy = browser.copy()
    answer = browser.send("/.portcullis/logout", {"Accept": "application/json"}, "POST")
    assert answer.json() == {
        "session": None,
        "location": f"https://id.example/out?return_to={ORIGIN}{START}/signed-out",
    }
    assert browser.session is None and copy.open("/").status == 302


def test_somebody_else_logs_in(browser):
    """Who may not come in leaves the provider too, without a session here."""
    page = browser.finish(browser.begin("/")["state"], "refuse forbidden").body.decode()
    assert 'action="/.portcullis/logout?login=scripted"' in page
    assert browser.open("/").status == 302
    answer = browser.post("/.portcullis/logout?login=scripted")
    assert answer.header("refresh") == f"0; url=https://id.example/out?return_to={ORIGIN}{START}/signed-out"
    browser.log_in(do="arrive bob kept")
    assert user(browser.open("/")) == ["bob"]


def test_pages_work_for_everybody(browser):
    """A language, a heading, one main part, both schemes of colours, no scripts, and nothing that is loaded."""
    text = browser.open("/.portcullis/login?to=/both").body.decode()
    for expected in ('<html lang="en">', "<h1>Log in</h1>", "<main>", "color-scheme", "prefers-color-scheme:dark", "focus-visible"):
        assert expected in text, expected
    assert "<script" not in text and "src=" not in text
    policy = browser.open("/.portcullis/login?to=/both").header("content-security-policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


def test_an_operator_replaces_the_pages(serve, config, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "page.html").write_text("<title>{{title}}</title>Ours: {{text}}{{actions}}{{request}}")
    (pages / "choose.html").write_text("<title>{{title}}</title>Choose {{text}}{{actions}}")
    ours = config.replace(LOGIN, f'{LOGIN}pages = "{pages}"\nafter_logout = "/goodbye"\n')
    browser = Browser(serve(ours, server=BEHIND_PROXY, KEY=secrets.token_hex(32)))
    assert browser.open("/.portcullis/login?to=/both").body.decode().startswith("<title>Log in</title>Choose <p>There are")
    failed = browser.finish(browser.begin("/")["state"], "refuse unauthenticated").body.decode()
    assert failed.startswith("<title>You are not logged in</title>Ours: <p>") and 'class="id"' in failed
    landed = browser.open(f"{START}/signed-out")
    assert (landed.status, landed.header("location")) == (303, "/goodbye")


def test_the_log_tells_every_step_and_no_secret(serve, config):
    """Attack 33. What a plugin keeps for its callback is the verifier of PKCE, for example."""
    gateway = serve(config.replace("authorize 10", "authorize keptverifier"), server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    browser = Browser(gateway)
    state = browser.begin("/a")["state"]
    browser.finish(state, "arrive alice keepsake session:1", code="secretcode")
    session = browser.session
    browser.post("/.portcullis/logout")
    steps = [(line["step"], line["outcome"], line.get("user")) for line in gateway.logged(message="login")]
    assert steps == [("begin", "sent", None), ("finish", "logged_in", "alice"), ("end", "logged_out", "alice")]
    log = gateway.child.output()
    for secret in (state, "keptverifier", "secretcode", "keepsake", session):
        assert secret not in log, secret


def test_explain_shows_where_a_browser_is_sent(tmp_path, config):
    asked = ["explain", "GET", f"{ORIGIN}/a", "-H", f"Accept: {OPENS['Accept']}"]
    done = run(*asked, folder=tmp_path, config=config, KEY=secrets.token_hex(32))
    assert "302" in done.stdout and f"location: {ORIGIN}{START}?to=%2Fa" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("kept", "said", "outcome"),
    [
        (" arrive-for,60,bob,x", "the login scripted would be asked whether it goes on", "x-forwarded-user: alice"),
        ("", "a browser would renew it at the provider of the login scripted", f"location: {ORIGIN}{START}?to=%2Fa&silent=1"),
    ],
)
def test_explain_asks_no_login_whether_a_session_goes_on(serve, tmp_path, config, kept, said, outcome):
    """It could use up a refresh token: this login would say that the user is bob now."""
    key = secrets.token_hex(32)
    browser = Browser(serve(config, server=BEHIND_PROXY, KEY=key))
    browser.log_in(do=f"arrive-for 1 alice{kept}")
    headers = ["-H", f"Cookie: __Host-portcullis={browser.session}", "-H", f"Accept: {OPENS['Accept']}"]

    def explained():
        done = run("explain", "GET", f"{ORIGIN}/a", *headers, folder=tmp_path, config=config, KEY=key)
        return "session     is due" in done.stdout and done.stdout

    text = eventually(explained, "the session is due")
    assert said in text and outcome in text and "bob" not in text, text
    assert ("if          the login scripted says that the session goes on" in text) == bool(kept), text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((LOGIN, ""), "login = true needs the section [login], with the origins that browsers use"),
        (("origins", "origin"), "origins"),
        ((ORIGIN, "http://gateway.example"), "is not the origin that browsers use"),
        ((ORIGIN, f"{ORIGIN}/path"), "is not the origin that browsers use"),
        ((LOGIN, LOGIN + 'after_logout = "//evil.example"\n'), "is not a path of the gateway"),
        ((LOGIN, LOGIN + 'pages = "missing"\n'), "can't be read"),
        (("[authenticators.people]", "[authenticators.people]\nlogin = true"), "the component is no login"),
        (("[authenticators.people]", '[authenticators.people]\ntitle = "x"'), "has no effect without login = true"),
        ((SESSION, SESSION + "secure = false\n"), "contradicts the origins of [login]"),
    ],
)
def test_mistakes_are_told(tmp_path, config, change, expected):
    done = run("check", folder=tmp_path, config=config.replace(*change), KEY=secrets.token_hex(32))
    assert done.returncode == 1 and expected in done.stderr, done.stderr


def test_tabs_that_log_in_at_once_are_no_circle(browser):
    for place in "abcde":
        browser.log_in(f"/{place}")
        del browser.cookies["__Host-portcullis"]


def expiry(browser):
    return browser.send("/.portcullis/session").json()["expires_at"]


RENEWALS = {
    "the login says that it goes on": ("arrive,bob,kept", 200, "bob"),
    "the provider is down": ("refuse,unavailable", 200, "alice"),
    "it is over": ("refuse,unauthenticated", 302, None),
    "the account is locked": ("refuse,forbidden", 302, None),
    "only the browser can tell": ("refuse,not-mine", 302, None),
}


@pytest.mark.parametrize("what", RENEWALS)
def test_a_session_that_is_due_is_renewed(gateway, what):
    """Pains 4, 15 and 16."""
    script, status, expected = RENEWALS[what]
    browser = Browser(gateway)
    browser.log_in(do=f"arrive-for 1 alice {script}")
    assert user(browser.open("/")) == ["alice"]

    def due():
        answer = browser.open("/due?x=y")
        line = gateway.logged(message="decision", request_id=answer.header("x-request-id"))[-1]
        return answer if line.get("session_renewal") else None

    answer = eventually(due, "the session is due")
    assert answer.status == status
    if expected:
        assert user(answer) == [expected]
    elif "not-mine" in script:
        assert answer.header("location") == f"{ORIGIN}{START}?to=%2Fdue%3Fx%3Dy&silent=1"
        told = browser.start(answer.header("location"))
        assert told["silent"] == "true"
        ends = expiry(browser)
        assert browser.finish(told["state"], "arrive-for 1 alice refuse,not-mine").status == 303
        assert expiry(browser) == ends, "it is the same session, which ends when it would have ended"
        answer = eventually(due, "the session is due again")
        told = browser.start(answer.header("location"))
        asks = browser.finish(told["state"], "refuse not-mine")
        assert (asks.status, asks.header("location")) == (303, f"{START}?to=%2Fdue%3Fx%3Dy")
        state = browser.start(asks.header("location"))["state"]
        assert browser.finish(state, "arrive bob kept").header("location") == f"{ORIGIN}/due?x=y"
        assert user(browser.open("/")) == ["bob"]
    else:
        assert answer.header("location") == f"{ORIGIN}{START}?to=%2Fdue%3Fx%3Dy"
        assert browser.session is None


def test_a_program_with_a_session_that_is_due_is_no_browser(gateway):
    browser = Browser(gateway)
    browser.log_in(do="arrive-for 1 alice refuse,not-mine")
    answer = eventually(lambda: (a := browser.send("/", {"Accept": "*/*"})).status == 401 and a, "the session is due")
    assert answer.json()["login"] == START
