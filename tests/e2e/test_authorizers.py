"""Authorizers: after the authenticators have said who sent a request, plugins say whether it may be made.

The guest `judge` is an authorizer that answers as the header `X-Judge` says, or another that its settings name.
"""

import secrets

import pytest

from harness import build
from harness.client import basic
from harness.config import PEOPLE, SESSION, drop, route, upstream as several, whoami
from harness.gateway import ADMIN, run
from harness.reload import reload, start
from harness.upstream import values

ALICE, BOB = basic("alice"), basic("bob")

KEY = secrets.token_hex(32)

LIMITS = '[authorizers.{name}.limits]\ndeadline = "500ms"\nbreaker = 0\n'


def authorizer(judge, name="judge", header="X-Judge", settings=""):
    return (
        f'[authorizers.{name}]\nplugin = "{judge}"\nsettings = {{ header = "{header}"{settings} }}\n'
        f'grants = {{ headers = ["{header}"] }}\n' + LIMITS.format(name=name)
    )


def judged(upstream, *authorizers, path="/", more="", after=""):
    listed = f"authorizers = {list(authorizers or ['judge'])}\n"
    return route(upstream, "people", path=path, more=listed + more) + after


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, judge):
    return serve_module(
        ADMIN
        + PEOPLE
        + authorizer(judge)
        + authorizer(judge, "second", "X-Second")
        + authorizer(judge, "lenient", "X-Judge", ", anonymous = true")
        + judged(shared_upstream)
        + judged(shared_upstream, "judge", "second", path="/both")
        + judged(shared_upstream, path="/maybe", more="optional = true")
        + judged(shared_upstream, "lenient", path="/lenient", more="optional = true")
        + judged(
            shared_upstream,
            "judge",
            "lenient",
            path="/described",
            more='identity.attributes = { judge = { role = "X-Role" }, lenient = { role = "X-Other-Role" } }',
        ),
    )


def told(script):
    return ALICE | {"X-Judge": script}


ANSWERS = {
    "permit 0": 200,
    "forbid": 403,
    "hide": 404,
    "respond 418": 418,
    "unavailable": 503,
    "panic": 503,
    "loop": 503,
    "attributes 17 1": 503,
    "attributes 1 4097": 503,
    "control": 503,
    "respond 302 set-cookie=portcullis=planted": 503,
}


@pytest.mark.parametrize("script, status", ANSWERS.items())
def test_the_answer_decides_and_no_failure_is_a_permission(serve, upstream, judge, script, status):
    gateway = serve(SESSION + PEOPLE + authorizer(judge) + judged(upstream), KEY=KEY)
    answer = gateway.send("/page?x=1", told(script))
    assert answer.status == status, answer
    assert [seen["target"] for seen in upstream.seen] == (["/page?x=1"] if status == 200 else [])
    if status in (403, 404, 503):
        words = {403: "Forbidden", 404: "Not found", 503: "Authorization is unavailable"}
        assert answer.json() == {"error": words[status]}, "no reason for the client"
    assert (answer.header("retry-after") is not None) == (status == 503)


def test_nobody_is_asked_about_a_request_that_is_not_authenticated(gateway, upstream):
    for headers in ({"X-Judge": "hide"}, {"Authorization": "Basic !!!", "X-Judge": "hide"}):
        assert gateway.send("/", headers).status == 401
    assert upstream.seen == []


def test_they_are_asked_in_order_and_the_first_denial_ends_it(gateway, upstream):
    for one, other, status, denied_by in [
        ("permit 0", "hide", 404, "second"),
        ("forbid", "hide", 403, "judge"),
        ("panic", "permit 0", 503, "judge"),
        ("permit 0", "loop", 503, "second"),
    ]:
        before = len(gateway.logged(message="the user was denied"))
        assert gateway.send("/both", told(one) | {"X-Second": other}).status == status
        [line] = gateway.logged(message="the user was denied")[before:]
        assert (line["denied_by"], line["authorizer"], line["user"], line["status"]) == (
            "authorizer", denied_by, "alice", status
        )  # fmt: skip
        assert line["steps"].startswith("judge: ")
        assert ("second: " in line["steps"]) == (denied_by == "second")
    assert upstream.seen == []
    assert gateway.send("/both", told("permit 0")).status == 200


def test_the_audit_log_has_what_was_asked_and_said(gateway, upstream):
    assert gateway.send("/audited", told("forbid it is late")).status == 403
    [line] = gateway.logged(message="the user was denied", path="/audited")
    assert (line["outcome"], line["why"]) == ("forbid", "it is late")
    assert line["steps"] == 'judge: forbid "it is late" [header x-judge]'
    assert gateway.send("/permitted", told("permit 0")).status == 200
    [line] = [line for line in gateway.logged(path="/permitted") if line["target"] == "portcullis::audit"]
    assert (line["message"], line["outcome"], line["user"]) == ("decision", "grant", "alice")
    assert line["steps"].startswith("people: grant [") and line["authorizer_steps"] == "judge: permit [header x-judge]"
    assert line["authorizer_us"] > 0
    assert gateway.send("/failed", told("panic")).status == 503
    [line] = gateway.logged(message="an authorizer could not decide", route="/")[-1:]
    assert line["authorizer"] == "judge" and "requested by the test" in line["why"]


def test_two_users_with_the_same_request_never_share_a_permit(gateway, upstream):
    script = {"X-Judge": "permit 60"}
    before = gateway.metric("portcullis_authorizer_reused_total", authorizer="judge") or 0
    for user in (ALICE, ALICE, BOB, BOB):
        assert gateway.send("/", user | script).status == 200
    lines = [line["authorizer_steps"] for line in gateway.logged(message="decision", path="/", outcome="grant") if "authorizer_steps" in line][-4:]
    assert ["reused" in line for line in lines] == [False, True, False, True], lines
    assert gateway.metric("portcullis_authorizer_reused_total", authorizer="judge") == before + 2


def test_calls_and_failures_are_counted(gateway):
    def count(name, **labels):
        return gateway.metric(f"portcullis_authorizer_{name}", authorizer="second", **labels) or 0

    permits, errors = count("calls_total", verdict="permit"), count("errors_total", reason="trap")
    assert gateway.send("/both", ALICE | {"X-Second": "permit 0"}).status == 200
    assert gateway.send("/both", ALICE | {"X-Second": "panic"}).status == 503
    assert (count("calls_total", verdict="permit"), count("errors_total", reason="trap")) == (permits + 1, errors + 1)
    assert gateway.metric("portcullis_authenticator_calls_total", authenticator="second") is None


def test_attributes_reach_the_upstream_under_the_authorizers_name(gateway, upstream):
    forged = {"X-Role": "admin", "X_Other_Role": "admin"}
    seen = gateway.send("/described", told("permit 0 role=editor other=x") | forged).json()
    assert values(seen, "x-role") == ["editor"]
    assert values(seen, "x-other-role") == ["editor"]
    assert values(seen, "x_other_role") == []
    assert values(gateway.send("/described", told("permit 0") | forged).json(), "x-role") == []


def test_it_is_told_the_user_the_authenticator_and_the_route(serve, upstream, judge):
    asked = judged(
        upstream,
        path="/told",
        more='identity.attributes.judge = { user = "X-A", authenticator = "X-B", route = "X-C", groups = "X-D" }',
    )
    gateway = serve(PEOPLE + authorizer(judge) + asked)
    seen = gateway.send("/told/x", told("told")).json()
    found = [values(seen, name) for name in ("x-a", "x-b", "x-c", "x-d")]
    assert found == [["alice"], ["people"], ["/told"], [""]]


def test_a_request_without_credentials_is_decided_about_where_they_are_optional(gateway, upstream):
    """Otherwise whoever leaves the credentials out would skip the authorizers."""
    answer = gateway.send("/maybe", {"X-Judge": "permit 0"})
    assert (answer.status, answer.schemes()) == (401, ["Basic"]), "by default nobody may do anything"
    assert upstream.seen == []
    for script, status in {"permit 0": 200, "forbid": 401, "hide": 404, "loop": 503}.items():
        assert gateway.send("/lenient", {"X-Judge": script}).status == status, script
    assert len(upstream.seen) == 1
    [line] = gateway.logged(message="the user was denied", path="/maybe")
    assert "user" not in line and line["outcome"] == "unauthenticated"


def test_a_session_is_asked_about_too(serve, upstream, judge):
    gateway = serve(SESSION + PEOPLE + authorizer(judge) + judged(upstream), KEY=KEY)
    first = gateway.send("/", told("forbid"))
    assert first.status == 403
    session = {"Cookie": f"portcullis={first.set_cookies()['portcullis']}"}
    assert gateway.send("/", session).status == 200
    assert gateway.send("/", session | {"X-Judge": "hide"}).status == 404


def test_explain_says_what_each_was_asked_and_said(tmp_path, upstream, judge):
    config = PEOPLE + authorizer(judge) + authorizer(judge, "second", "X-Second") + judged(upstream, "judge", "second")
    header = [f"{name}: {value}" for name, value in told("permit 60").items()]

    def explain(*more):
        options = [word for value in [*header, *more] for word in ("-H", value)]
        found = run("explain", "GET", "http://app.test/", *options, folder=tmp_path, config=config)
        assert found.returncode == 0, found.stderr
        return found.stdout

    said = explain()
    assert "asks        people, then judge second\n" in said
    assert "judge       permits (" in said
    assert "            asked header x-judge: 9 bytes\n" in said
    assert "kept for 1m, for requests of the same user with the same values of all this" in said
    assert "forwarded   with these headers\n" in said
    said = explain("X-Second: hide it from her")
    assert "second      can't decide: it doesn't know" in said
    assert "answer      503 Service Unavailable\n" in said
    assert "second      hides: requested by the test" in explain("X-Second: hide")


def test_check_inspect_and_list_know_the_role(tmp_path, upstream, judge):
    config = PEOPLE + authorizer(judge) + judged(upstream)
    checked = run("check", folder=tmp_path, config=config)
    assert checked.returncode == 0, checked.stderr
    assert "good: 1 route, 1 authenticator, 1 authorizer, no sessions" in checked.stdout
    assert "role      authorizer\n" in run("plugin", "inspect", judge, folder=tmp_path).stdout
    assert f"judge               authorizer, by {judge}" in run("plugin", "list", folder=tmp_path, config=config).stdout


WRONG = {
    'public = true\nauthorizers = ["judge"]': "public and authorizers contradict each other",
    'authenticators = ["people"]\nauthorizers = []': "the list is empty; leave the key out if every user may make every",
    'authenticators = ["people"]\nauthorizers = ["jugde"]': 'unknown authorizer "jugde"; did you mean "judge"?',
    'authenticators = ["people"]\nauthorizers = ["people"]': 'unknown authorizer "people"',
    'authenticators = ["judge"]': 'unknown authenticator "judge"',
    'authenticators = ["people"]\nauthorizers = ["judge", "judge"]': '"judge" is listed twice',
    'authenticators = ["people"]\nauthorizers = ["judge"]\nupstream_credentials = [{ scheme = "token", requests = ["GET /x"] }]': "would bypass authorizers",
    'authenticators = ["people"]\nauthorizers = ["judge"]\nidentity.attributes = { judge = { a = "X-A" }, people = { a = "X-A" } }': "the header x-a is used twice",
    'authenticators = ["people"]\nidentity.attributes = { judge = { a = "X-A" } }': "no authenticator or authorizer of that name",
}


@pytest.mark.parametrize("keys, expected", WRONG.items())
def test_a_route_that_contradicts_itself_is_an_error_with_its_line(tmp_path, upstream, judge, keys, expected):
    config = PEOPLE + authorizer(judge) + f'[[routes]]\npath = "/"\nupstream = "{upstream.url}"\n{keys}\n'
    found = run("check", folder=tmp_path, config=config)
    assert found.returncode == 1
    assert expected in found.stderr
    assert "portcullis.toml:" in found.stderr and "routes[0]" in found.stderr, found.stderr


ENTRIES = {
    'plugin = "simple"': "this plugin is an authenticator, and not an authorizer: it belongs into [authenticators]",
    'plugin = "{judge}"\nlogin = true': "authorizers.judge.login: has no effect: nobody logs in with an authorizer",
    'plugin = "{judge}"\ntitle = "x"': "authorizers.judge.title: has no effect: nobody logs in with an authorizer",
    'plugin = "{judge}"\ngrants.login = ["https://id.example/a"]': "authorizers.judge.grants.login: has no effect",
    'plugin = "{judge}"\nsession = true': 'authorizers.judge.session: unknown key',
    'plugin = "{judge}"\nsettings.header = "refused"': "authorizers.judge.settings.header: it is refused",
    'plugin = "{judge}"\nsettings.haeder = "x"': 'settings.haeder: unknown key; did you mean "header"?',
}


@pytest.mark.parametrize("keys, expected", ENTRIES.items())
def test_an_authorizer_with_a_mistake_is_an_error_with_its_line(tmp_path, judge, keys, expected):
    config = PEOPLE + f"[authorizers.judge]\n{keys.format(judge=judge)}\n" + whoami("people")
    found = run("check", folder=tmp_path, config=config)
    assert found.returncode == 1
    assert expected in found.stderr and "portcullis.toml:" in found.stderr, found.stderr


def test_an_authorizer_is_no_authenticator_and_has_no_name_of_one(tmp_path, judge):
    found = run("check", folder=tmp_path, config=f'[authenticators.judge]\nplugin = "{judge}"\n' + whoami("judge"))
    assert "this plugin is an authorizer, and not an authenticator: it belongs into [authorizers]" in found.stderr
    config = PEOPLE + authorizer(judge, "people") + whoami("people")
    assert "an authenticator has the same name" in run("check", folder=tmp_path, config=config).stderr


def test_a_narrower_route_that_asks_fewer_is_told(tmp_path, upstream, judge):
    config = PEOPLE + authorizer(judge) + judged(upstream) + route(upstream, "people", path="/open")
    assert "/open doesn't ask judge, and / does" in run("check", folder=tmp_path, config=config).stdout


def test_a_dropped_component_is_what_its_exports_say(serve, upstream, tmp_path, judge):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    config = drop(plugins, "teams", judge, '[grants]\nheaders = ["x-judge"]\n') + PEOPLE
    gateway = start(serve, config + judged(upstream, "teams"))
    assert gateway.send("/", told("hide")).status == 404
    (plugins / "teams.toml").write_text('[settings]\nheader = "x-other"\n[grants]\nheaders = ["x-other"]\n')
    assert set(reload(gateway)) <= {"~plugin teams: grants.headers, settings.header"}
    assert gateway.send("/", told("hide")).status == 200
    assert gateway.send("/", ALICE | {"X-Other": "hide"}).status == 404


def test_a_reload_takes_up_keeps_and_removes_authorizers(serve, upstream, judge):
    plain = PEOPLE + route(upstream, "people")
    with_judge = PEOPLE + authorizer(judge) + judged(upstream)
    gateway = start(serve, plain)
    assert gateway.send("/", told("hide")).status == 200
    assert reload(gateway, with_judge) == ["+authorizer judge", "~route /: authorizers"]
    assert gateway.send("/", told("hide")).status == 404
    assert gateway.send("/", told("permit 60")).status == 200
    # What isn't changed is kept, with its decisions.
    assert reload(gateway, with_judge + route(upstream, "people", path="/more")) == ["+route /more"]
    assert gateway.send("/", told("permit 60")).status == 200
    assert "reused" in gateway.logged(message="decision")[-1]["authorizer_steps"]
    changed = with_judge.replace('deadline = "500ms"', 'deadline = "400ms"')
    assert reload(gateway, changed) == ["~authorizer judge: limits.deadline", "-route /more"]
    assert gateway.send("/", told("permit 60")).status == 200
    assert "reused" not in gateway.logged(message="decision")[-1]["authorizer_steps"]
    assert reload(gateway, plain) == ["-authorizer judge", "~route /: authorizers"]
    assert gateway.send("/", told("hide")).status == 200


CASES = """
grants.headers = ["x-judge"]
[[cases]]
name = "a member may"
request.headers = { X-Judge = "members staff 60" }
user = { name = "alice", groups = ["staff"] }
expect = { status = 200, verdict = "permit", reads = ["header x-judge"] }
[[cases]]
name = "nobody else may"
request.headers = { X-Judge = "members staff 60" }
user = { name = "bob" }
expect = { status = 403, verdict = "forbid" }
[[cases]]
name = "it is told who"
request.headers = { X-Judge = "told" }
user = { name = "bob", admin = true, authenticator = "hub", attributes = { a = "b" } }
expect.attributes = { user = "bob", admin = "true", authenticator = "hub" }
[[cases]]
name = "nobody may do anything"
expect = { status = 401, verdict = "forbid" }
"""


def test_cases_have_made_up_users(tmp_path, judge):
    cases = tmp_path / "cases.toml"
    cases.write_text(CASES)
    found = run("plugin", "test", judge, cases, folder=tmp_path)
    assert (found.returncode, found.stdout.splitlines()[-1]) == (0, "4 passed"), found.stdout + found.stderr
    cases.write_text(CASES.replace('name = "bob" }', 'name = "bob", groups = ["staff"] }'))
    found = run("plugin", "test", judge, cases, folder=tmp_path)
    assert found.returncode == 1
    assert "verdict: expected forbid, found permit" in found.stdout
    for wrong, expected in {
        'user = { name = "" }': "the user name is empty",
        'user = { nmae = "a" }': 'user.nmae: unknown key; did you mean "name"?',
        "user = 1": "expected a table",
    }.items():
        cases.write_text(f'[[cases]]\nname = "a"\nexpect.status = 200\n{wrong}\n')
        found = run("plugin", "test", judge, cases, folder=tmp_path)
        assert found.returncode == 1 and expected in found.stderr, found.stderr
    cases.write_text('[[cases]]\nname = "a"\nexpect.status = 200\nuser = { name = "a" }\n')
    found = run("plugin", "test", "simple", cases, folder=tmp_path)
    assert "an authenticator finds out who the user is" in found.stderr


def test_the_smallest_useful_one_passes_its_cases_and_conforms(tmp_path):
    writers, folder = build.example_component("writers"), build.ROOT / "examples" / "writers"
    found = run("plugin", "test", writers, folder / "cases.toml", folder=tmp_path)
    assert (found.returncode, found.stdout.splitlines()[-1]) == (0, "3 passed"), found.stdout + found.stderr
    found = run("plugin", "conformance", writers, folder / "cases.toml", folder=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "user: a user in 4096 groups" not in found.stdout, "only failures are named"


def test_every_upstream_of_a_group_is_behind_it(serve, upstream, judge):
    gateway = serve(authorizer(judge) + several(upstream, route_more='authorizers = ["judge"]'))
    assert gateway.send("/", told("forbid")).status == 403
    assert gateway.send("/", told("permit 0")).status == 200


def test_a_request_can_be_abandoned_while_it_is_decided(serve, upstream, judge):
    gateway = serve(PEOPLE + authorizer(judge) + judged(upstream))
    connection = gateway.open()
    credentials = ALICE["Authorization"]
    connection.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {credentials}\r\nX-Judge: loop\r\n\r\n".encode())
    connection.close()
    assert gateway.send("/", told("permit 0")).status == 200


def test_the_pages_show_the_example_as_it_is():
    source = (build.ROOT / "examples/writers/src/lib.rs").read_text().split("#[cfg(test)]")[0].split("\n\n", 1)[1].strip()
    for page in ("README.md", "docs/authors.md"):
        assert f"```rust\n{source}\n```" in (build.ROOT / page).read_text(), page
