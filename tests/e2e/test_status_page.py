"""What an operator sees of a gateway that runs: the page of the admin listener, and what `/readyz` says doesn't work."""

import datetime
import re
import shutil

import pytest

from harness.chromium import chromium
from harness.client import ALICE, basic, send
from harness.config import PEOPLE, route
from harness.config import upstream as to_servers
from harness.gateway import ADMIN
from harness.process import eventually
from harness.reload import reload

REQUIRE = '[routes.require]\nusers = ["bob"]\n'


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    """A gateway that has served, refused and failed."""
    config = ADMIN + PEOPLE + route(shared_upstream, "people") + route(shared_upstream, "people", path="/bobs", more=REQUIRE)
    gateway = serve_module(config)
    for _ in range(3):
        assert gateway.send("/", ALICE).status == 200
    assert gateway.send("/bobs/x?secret=1", ALICE | {"X-Secret": "hidden"}).status == 403
    assert gateway.send("/").status == 401
    assert gateway.send("/%2e%2e/x", ALICE).status == 400
    return gateway


def page(gateway, **headers):
    return send(gateway.admin_url, "/", headers)


def ready(gateway):
    answer = send(gateway.admin_url, "/readyz")
    assert answer.header("content-type") == "application/json"
    return answer.json()


def rows(html, title):
    """The cells of a section's table, without markup."""
    section = re.search(rf"<h2>{title}</h2>(.*?)(<h2>|</main>)", html, re.S)[1]
    found = re.findall(r"<tr>(<td>.*?)</tr>", section, re.S)
    return [[re.sub("<[^>]*>", " ", cell).strip() for cell in re.findall("<td>(.*?)</td>", row, re.S)] for row in found]


def test_the_page_has_routes_and_plugins_with_what_they_did(gateway):
    answer = page(gateway)
    html = answer.body.decode()
    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    routes = {row[0]: row for row in rows(html, "Routes")}
    name, access, plugins, upstream, _, codes, latency = routes["/"]
    assert (access, plugins, codes) == ("protected", "people", "200: 3, 401: 1")
    assert upstream.startswith("http://127.0.0.1:") and "≤" in latency
    assert routes["/bobs"][5] == "403: 1"
    [[plugin, component, _, verdicts, breaker, latency]] = rows(html, "Plugins")
    assert re.split(r"\s+", plugin) == ["people", "authenticator"] and breaker == "closed" and "99 %: ≤" in latency
    assert re.search(r"component +[0-9a-f]{64}$", component)
    for term in ["grants.headers authorization", "limits.deadline 5s", "limits.concurrency 64"]:
        assert term in re.sub(r"\s+", " ", component)
    assert "grant: " in verdicts
    assert 'aria-label="requests in each of the last 60 minutes' in html
    assert 'aria-label="latency of calls in each of the last 60 minutes; in the hour half took ≤ ' in html
    assert "Generation 1 of the configuration" in html


def test_an_authorizer_whose_breaker_is_open_is_told(serve, upstream, judge):
    own = f'[authorizers.judge]\nplugin = "{judge}"\nsettings = {{ header = "X-Judge" }}\ngrants = {{ headers = ["X-Judge"] }}\n'
    config = ADMIN + PEOPLE + own + route(upstream, "people", more='authorizers = ["judge"]\n')
    gateway = serve(config, server='trusted_proxies = ["127.0.0.1"]\n')
    ask = lambda user, client, script: gateway.send("/", basic(user) | {"X-Forwarded-For": client, "X-Judge": script}).status
    assert ask("alice", "192.0.2.9", "permit 0") == 200
    for user, client in [("bob", "192.0.2.1"), ("carol", "192.0.2.2"), ("dave", "2001:db8::1")]:
        assert {ask(user, client, "panic") for _ in range(5)} == {503}
    told = {"part": "authorizer judge", "problem": "its circuit breaker is open for everybody, so few of its calls run"}
    assert ready(gateway)["problems"] == [told]
    plugins = rows(page(gateway).body.decode(), "Plugins")
    judge_row, people_row = sorted(plugins, key=lambda row: row[0])
    assert re.split(r"\s+", judge_row[0]) == ["judge", "authorizer"]
    assert "fail: " in judge_row[3] and "permit: 1" in judge_row[3]
    assert re.sub(r"\s+", " ", judge_row[4]).startswith("open for everybody has opened: all: 1, ")
    assert people_row[4] == "closed"


def test_refusals_have_their_reasons_and_no_secrets(gateway):
    html = page(gateway).body.decode()
    refused = rows(html, "Recent refusals")
    assert [(row[1], row[2], row[3], row[5]) for row in refused] == [
        ("400", "GET /%2e%2e/x", "", ""),
        ("403", "GET /bobs/x", "/bobs", "alice"),
    ]
    assert "bob" in refused[1][6]
    for secret in ["secret", "hidden", ALICE["Authorization"].removeprefix("Basic ")]:
        assert secret not in html


def test_the_page_loads_nothing_and_no_page_frames_it(gateway):
    answer = page(gateway)
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(", answer.body.decode())
    assert "default-src 'none'" in answer.header("content-security-policy")
    assert "frame-ancestors 'none'" in answer.header("content-security-policy")
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize("host, status", [("localhost:9", 200), ("127.0.0.1", 200), ("[::1]:9", 200), ("rebound.example", 403)])
def test_no_name_of_another_page_leads_to_it(gateway, host, status):
    assert page(gateway, Host=host).status == status


def test_markup_of_a_user_or_a_path_is_text(serve, upstream):
    gateway = serve(ADMIN + PEOPLE + route(upstream, "people", more=REQUIRE))
    assert gateway.send("/'x", basic("<script>alert(1)</script>")).status == 403
    html = page(gateway).body.decode()
    assert "<script" not in html and "/'x" not in html
    assert "&lt;script&gt;" in html and "/&#39;x" in html


def test_who_is_sent_to_authenticate_is_no_refusal(serve, upstream):
    gateway = serve(ADMIN + PEOPLE + route(upstream, "people"))
    assert gateway.send("/").status == 401
    assert "Recent refusals" not in page(gateway).body.decode()


def test_the_last_reload_is_told(serve, upstream):
    gateway = serve(ADMIN + PEOPLE + route(upstream, "people"))
    config = PEOPLE + route(upstream, "people") + route(upstream, "people", path="/more")
    assert reload(gateway, config) == ["+route /more"]
    assert "+route /more" in page(gateway).body.decode()
    assert "Generation 2 of the configuration" in page(gateway).body.decode()
    assert reload(gateway, config) == []
    assert "Generation 2 of the configuration" in page(gateway).body.decode(), "nothing has changed"
    assert "/more" in [row[0] for row in rows(page(gateway).body.decode(), "Routes")]


def test_what_does_not_work_is_told(serve, unreachable, authority):
    """A dead upstream, and a certificate that expires."""
    now = datetime.datetime.now(datetime.UTC)
    certificate, key = authority.issue("soon", between=(now, now + datetime.timedelta(days=2, hours=1)))
    dead = unreachable()
    health = '[upstreams.app.health]\npath = "/"\ninterval = "100ms"\n'
    gateway = serve(ADMIN + to_servers(dead, more=health), server=f'[server.tls]\ncert = "{certificate}"\nkey = "{key}"\n')

    def told():
        problems = {problem["part"]: problem["problem"] for problem in ready(gateway)["problems"]}
        return problems if len(problems) == 2 else None

    problems = eventually(told, "both are told")
    assert problems.pop("upstream app") == "none of its servers is healthy"
    [(part, problem)] = problems.items()
    assert part.startswith("certificate ") and problem == "expires in 2 days"
    html = page(gateway).body.decode()
    assert "has 2 problems" in html
    name, server, health, _ = rows(html, "Upstreams")[0]
    assert (name, health) == ("app", "gets no requests") and server in dead.url
    assert len(rows(html, "Certificates")) == 1


def test_a_disabled_plugin_is_told(serve, upstream, scripted_component, tmp_path):
    wasm = tmp_path / "guard.wasm"
    shutil.copyfile(scripted_component, wasm)
    own = f'[authenticators.guard]\nplugin = "{wasm}"\nsha256 = "{"0" * 64}"\n'
    gateway = serve(ADMIN + PEOPLE + own + route(upstream, "guard", path="/guarded") + route(upstream, "people"))
    [problem] = ready(gateway)["problems"]
    assert problem["part"] == "authenticator guard" and "sha256" in problem["problem"]


def test_a_browser_shows_the_page_in_both_colours(gateway, tmp_path):
    """Whoever changes the page looks at the pictures, whose folder is in the output of the test."""
    with chromium(tmp_path) as browser:
        for scheme, back in [("light", "rgb(246, 246, 244)"), ("dark", "rgb(22, 22, 22)")]:
            browser.prefer(scheme)
            text = browser.visit(gateway.admin_url + "/")
            assert "It is ready" in text and "Recent refusals" in text
            assert browser.run("getComputedStyle(document.body).backgroundColor") == back
            assert browser.run("document.querySelectorAll('svg rect').length > 2")
            assert browser.run("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
            cut = "[...document.querySelectorAll('.wide:has(svg)')].filter(table => table.scrollWidth > table.clientWidth).length"
            assert browser.run(cut) == 0, "the last minute is seen"
            picture = tmp_path / f"{scheme}.png"
            picture.write_bytes(browser.picture())
            print(picture)
