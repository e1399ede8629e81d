"""What a route matches and how it changes a request (rows C1 to C4, C15, E4 and E8 of the field reports): methods, wildcard
hosts, preflights and CORS, the upstream's host, a stripped prefix, required users, and sessions.
"""

from urllib.parse import quote

import pytest

from harness import http2
from harness.client import ALICE, basic
from harness.config import PEOPLE, SESSION, drop, protected, route, upstream, whoami
from harness.fronts import subrequest
from harness.gateway import run
from harness.upstream import values

KEY = "00112233" * 8


def explained(tmp_path, config, *words):
    done = run("explain", *words, folder=tmp_path, config=config)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Methods (C1)

METHODS = (
    PEOPLE
    + whoami("people", path="/")
    + whoami(path="/doc").replace("public = true", 'public = true\nmethods = ["GET"]')
    + whoami("people", path="/only").replace('path = "/only"', 'path = "/only"\nhosts = ["only.example"]\nmethods = ["PUT"]')
)


def test_a_route_serves_the_methods_that_it_lists(serve):
    gateway = serve(METHODS)
    for method, status in [("GET", 200), ("HEAD", 200), ("POST", 401), ("DELETE", 401), ("OPTIONS", 401)]:
        assert gateway.send("/doc", method=method).status == status, method


def test_a_path_that_is_served_with_other_methods_only_is_a_405(serve):
    config = PEOPLE + whoami("people").replace('path = "/"', 'path = "/"\nmethods = ["PUT", "PROPFIND"]')
    answer = serve(config).send("/", method="GET")
    assert (answer.status, answer.header("allow")) == (405, "PUT, PROPFIND")


def test_explain_shows_the_route_of_a_method(tmp_path):
    for method, name in [("GET", "/doc (GET, HEAD), public"), ("POST", "/, protected")]:
        assert name in explained(tmp_path, METHODS, method, "http://x/doc")


def test_check_warns_of_methods_that_are_left_to_a_more_permissive_route(tmp_path):
    config = PEOPLE + whoami() + whoami("people", path="/admin").replace("authenticators", 'methods = ["POST"]\nauthenticators')
    done = run("check", folder=tmp_path, config=config)
    assert "/admin (POST) serves only POST; all other methods are served by /, which is public" in done.stdout


# Preflights and CORS (C1)

PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization",
}
CORS = 'preflight = "pass"\nmethods = ["GET", "PUT"]\n[routes.cors]\norigins = ["https://app.example"]\ncredentials = true\n'


@pytest.fixture
def with_cors(serve, upstream):
    return serve(PEOPLE + route(upstream, "people") + route(upstream, "people", path="/api", more=CORS))


def test_a_preflight_is_forwarded_anonymously(with_cors, upstream):
    assert with_cors.send("/api", PREFLIGHT | ALICE | {"X-Forwarded-User": "mallory"}, method="OPTIONS").status == 200
    [seen] = upstream.seen
    assert seen["method"] == "OPTIONS"
    for name in ["x-forwarded-user", "authorization"]:
        assert values(seen, name) == [], "it is nobody's"
    assert values(seen, "origin") == ["https://app.example"]


@pytest.mark.parametrize(
    ("path", "method", "left_out"),
    [("/api", "OPTIONS", "Origin"), ("/api", "OPTIONS", "Access-Control-Request-Method"), ("/api", "PUT", None), ("/", "OPTIONS", None)],
)
def test_nothing_else_passes_for_a_preflight(with_cors, upstream, path, method, left_out):
    headers = {name: value for name, value in PREFLIGHT.items() if name != left_out}
    assert with_cors.send(path, headers, method=method).status == 401
    assert upstream.seen == []


def test_a_page_can_read_why_it_was_refused(with_cors):
    for origin, allowed in [("https://app.example", "https://app.example"), ("https://evil.example", None)]:
        answer = with_cors.send("/api", {"Origin": origin})
        assert answer.status == 401
        assert answer.header("access-control-allow-origin") == allowed
        assert answer.header("access-control-allow-credentials") == ("true" if allowed else None)
        assert "Origin" in ", ".join(answer.all("vary"))
    assert with_cors.send("/", {"Origin": "https://app.example"}).header("access-control-allow-origin") is None


# Wildcard hosts (C4)


def test_an_exact_host_wins_over_a_wildcard_and_that_over_every_host(serve):
    def on(host, *authenticators):
        return whoami(*authenticators).replace('path = "/"', f'path = "/"\nhosts = ["{host}"]')

    gateway = serve(PEOPLE + on("*.example.com", "people") + on("open.example.com") + whoami("people", path="/x"))
    for host, status in [
        ("open.example.com", 200),
        ("OPEN.example.com.:8000", 200),
        ("a.example.com", 401),
        ("a.b.example.com", 401),
        ("x.open.example.com", 401),
        ("example.com", 404),
        ("evilexample.com", 404),
    ]:
        assert gateway.send("/", {"Host": host}).status == status, host
        port = int(gateway.url.rsplit(":", 1)[1])
        assert http2.send(port, "/", authority=host).status == status, host


# The upstream's host (C2)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("setting", ["client", "upstream", "app.internal:8080"])
def test_the_host_for_the_upstream_is_configured(serve, raw_upstream, http2_upstreams, protocol, setting):
    server = raw_upstream if protocol == "http/1.1" else http2_upstreams()
    gateway = serve(upstream(server, more=f'protocol = "{protocol}"', route_more=f'host = "{setting}"'))
    assert gateway.send("/", ALICE | {"Host": "app.example"}).status == 200
    expected = {"client": "app.example", "upstream": server.url.removeprefix("http://")}.get(setting, setting)
    if protocol == "h2":
        fields = dict(server.seen[0].fields)
        assert fields[":authority"] == expected
        assert fields["x-forwarded-host"] == "app.example"
    else:
        assert server.seen[0].all("host") == [expected.encode()]
        assert server.seen[0].all("x-forwarded-host") == [b"app.example"]


# A stripped prefix (C3)


@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        ("/app", "/"),
        ("/app/", "/"),
        ("/app/a/b?c=/app", "/a/b?c=/app"),
        ("/%61pp/a%20b", "/a%20b"),
        ("/app/app/x", "/app/x"),
        ("/app/a;v=1", "/a;v=1"),
    ],
)
def test_a_prefix_is_removed(serve, raw_upstream, target, arrives):
    gateway = serve(PEOPLE + route(raw_upstream, "people", path="/app", more="strip_prefix = true"))
    assert gateway.send(target, ALICE).status == 200
    [seen] = raw_upstream.seen
    assert seen.target == arrives
    assert seen.all("x-forwarded-prefix") == [b"/app"]


def test_the_upstreams_urls_are_mapped_back(serve, upstream):
    host = upstream.url.removeprefix("http://")
    more = 'strip_prefix = true\nhost = "upstream"'
    gateway = serve(PEOPLE + route(upstream, "people", path="/app", more=more))
    for name, value, expected in [
        ("Location", "/login", "/app/login"),
        ("Location", f"http://{host}/login?x=1", "/app/login?x=1"),
        ("Location", "http://gate.example/login", "http://gate.example/app/login"),
        ("Location", "https://idp.example/login", "https://idp.example/login"),
        ("Content-Location", "/a", "/app/a"),
        ("Set-Cookie", "a=1; Path=/; HttpOnly", "a=1; Path=/app/; HttpOnly"),
        ("Set-Cookie", "__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
    ]:
        answer = gateway.send(f"/app/answer-headers?{name}={quote(value, safe='')}", ALICE | {"Host": "gate.example"})
        assert answer.header(name) == expected


def test_a_route_without_the_new_keys_changes_nothing(serve, upstream):
    gateway = serve(protected(upstream))
    for name, value in [("Location", "/login"), ("Location", f"{upstream.url}/x"), ("Set-Cookie", "a=1; Path=/")]:
        answer = gateway.send(f"/answer-headers?{name}={quote(value, safe='')}", ALICE)
        assert answer.header(name) == value
    seen = upstream.seen[-1]
    assert values(seen, "x-forwarded-prefix") == []
    assert values(seen, "x-forwarded-port") == [gateway.url.rsplit(":", 1)[1]], "row C15"


# Required users (E4)


REQUIRE = """
[routes.require]
users = ["root"]
groups = ["staff", "ops"]
claims = { department = ["it"] }
"""


def test_only_required_users_may_use_a_route(serve, upstream):
    gateway = serve(PEOPLE + route(upstream, "people", more=REQUIRE))
    for user, status in [("root", 200), ("alice", 403), ("ROOT", 403)]:
        assert gateway.send("/", basic(user)).status == status, user
    assert len(upstream.seen) == 1
    [line] = gateway.logged(user="alice", outcome="forbid")
    assert line["status"] == 403
    assert "requires users root; groups staff, ops; department it" in line["why"]


def test_explain_shows_what_is_required(tmp_path, upstream):
    output = explained(tmp_path, PEOPLE + route(upstream, "people", more=REQUIRE), "GET", "http://x/", "-H", *auth())
    assert "403" in output
    assert "requires users root; groups staff, ops; department it" in output


def auth():
    return [f"Authorization: {ALICE['Authorization']}"]


def test_a_front_hears_what_is_required(serve, upstream):
    config = "[forward_auth]\n" + PEOPLE + route(upstream, "people", more=REQUIRE)
    gateway = serve(config, server='trusted_proxies = ["127.0.0.1"]\n')
    for user, status in [("root", 200), ("alice", 403)]:
        assert gateway.send("/.portcullis/auth/traefik", basic(user) | subrequest("/")).status == status


# Sessions (E8)


def test_a_route_can_start_no_sessions_and_still_accept_them(serve, upstream):
    config = SESSION + PEOPLE + route(upstream, "people") + route(upstream, "people", path="/api", more="start_sessions = false")
    gateway = serve(config, KEY=KEY)
    assert gateway.send("/api", ALICE).set_cookies() == {}
    session = gateway.send("/", ALICE).set_cookies()["portcullis"]
    assert gateway.send("/api", {"Cookie": f"portcullis={session}"}).status == 200


# Mistakes

WRONG = {
    'methods = []': "methods: the list is empty",
    'methods = ["get"]': 'methods[0]: "get" is not a method in capitals',
    'methods = ["TRACE"]': "methods[0]",
    'methods = "GET"': "methods: expected a list",
    'preflight = true': 'preflight: expected "pass" or "authenticate"',
    'host = "http://x"': "host",
    'host = "*.x.example"': "host",
    'strip_prefix = "/a"': "strip_prefix: expected true or false",
    'strip_prefix = true\npaths = "as-is"': "programs disagree about where the prefix ends",
    'strip_prefix = true\nauthorize_with = "GET /{1}"': "strip_prefix can't be combined with authorize_with",
    'paths = "raw"': '"raw" is not "strict" or "as-is"',
    "[routes.cors]": 'the key "origins" is missing',
    "[routes.cors]\norigins = []": "the list is empty",
    '[routes.cors]\norigins = ["app.example"]': "is not an origin",
    '[routes.cors]\norigins = ["https://app.example/"]': "is not an origin",
    '[routes.cors]\norigins = ["https://*.example"]': "is not an origin",
    '[routes.cors]\norigins = ["*"]\ncredentials = true': "contradict each other",
    "[routes.require]": "requires nothing",
    '[routes.require]\ngroup = ["x"]': 'unknown key; did you mean "groups"?',
    'optional = true\n[routes.require]\ngroups = ["x"]': "require needs a user on every request",
    'upstream_credentials = [{ scheme = "token", requests = ["GET /a"] }]\n[routes.require]\ngroups = ["x"]': "would bypass require",
    "start_sessions = 1": "start_sessions: expected true or false",
}


@pytest.mark.parametrize("lines", WRONG)
def test_a_mistake_in_a_route_is_reported(tmp_path, upstream, lines):
    done = run("check", folder=tmp_path, config=PEOPLE + route(upstream, "people", path="/a", more=lines))
    assert done.returncode == 1
    assert WRONG[lines] in done.stderr


def test_a_prefix_of_everything_cant_be_removed(tmp_path, upstream):
    done = run("check", folder=tmp_path, config=protected(upstream, more="strip_prefix = true"))
    assert "strip_prefix has nothing to remove" in done.stderr


def test_two_routes_may_differ_in_their_methods_only(tmp_path, upstream):
    one, other = ('methods = ["GET"]', 'methods = ["HEAD", "PUT"]')
    routes = [route(upstream, "people", more=more) for more in (one, other)]
    done = run("check", folder=tmp_path, config=PEOPLE + "".join(routes))
    assert "serves the same host, path and method as" in done.stderr
    routes[1] = routes[1].replace('"HEAD", ', "")
    assert run("check", folder=tmp_path, config=PEOPLE + "".join(routes)).returncode == 0


def test_as_is_with_an_authenticator_that_asks_for_the_path_is_a_warning(tmp_path, upstream, javascript_component):
    folder = tmp_path / "plugins"
    folder.mkdir()
    plugins = drop(folder, "pages", javascript_component, '[settings]\ndirectory = "http://x/"\nbadges = { a = "b" }\n')
    config = plugins + PEOPLE + route(upstream, "people", "pages", more='paths = "as-is"')
    done = run("check", folder=tmp_path, config=config)
    assert 'paths = "as-is", and pages asks for the path' in done.stdout, done.stdout + done.stderr
    assert "people asks" not in done.stdout
