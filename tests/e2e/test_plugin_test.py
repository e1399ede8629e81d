"""`plugin test` asks a plugin about the requests of a file: what it prints, what CI reads, and how it fails."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from harness import build
from harness.client import basic
from harness.gateway import run
from harness.paths import ROOT

ALICE = basic("alice", "p")["Authorization"]


def ask(tmp_path, plugin, cases, *arguments):
    """Runs the command with this text as its file."""
    (tmp_path / "cases.toml").write_text(cases)
    return run("plugin", "test", plugin, "cases.toml", *arguments, folder=tmp_path)


def case(name, expect, request="", headers=None):
    """A case in TOML. `expect` and `request` are the content of their tables."""
    sent = ", ".join(f'"{header}" = {json.dumps(value)}' for header, value in (headers or {}).items())
    fields = [field for field in (request, f"headers = {{ {sent} }}" if sent else "") if field]
    return f"[[cases]]\nname = {json.dumps(name)}\nrequest = {{ {', '.join(fields)} }}\nexpect = {{ {expect} }}\n"


PASSWORD = '[settings]\npassword = "p"\nrealm = "here"\n'


def test_cases_that_pass(tmp_path):
    done = ask(
        tmp_path,
        "simple",
        PASSWORD
        + case("right", 'status = 200, user = "alice", groups = [], verdict = "grant"', headers={"Authorization": ALICE})
        + case("none", """status = 401, challenge = 'realm="here"', verdict = "pass", reads = ["header authorization"]""")
        + case("wrong", 'status = 401, verdict = "reject"', headers={"Authorization": basic("alice", "x")["Authorization"]}),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ok      right\nok      none\nok      wrong\n3 passed\n"


def test_the_example_passes_its_cases(tmp_path, api_key_component):
    done = run("plugin", "test", api_key_component, ROOT / "examples/api_key/cases.toml", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1] == "3 passed"


def test_the_page_shows_the_file_of_the_example_and_what_is_printed(tmp_path, api_key_component):
    page = (ROOT / "docs/authors.md").read_text().split("## Test the component")[1].split("\n## ")[0]
    file = (ROOT / "examples/api_key/cases.toml").read_text()
    assert file.partition("\n\n")[2] == re.search(r"(?s)```toml\n(.*?)```", page)[1]
    printed = [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n)+", page)]
    done = ask(tmp_path, api_key_component, file)
    assert done.stdout == printed[0].partition("\n")[2]
    denied = ask(tmp_path, api_key_component, file.replace('["x-api-key"]', "[]", 1))
    assert denied.returncode == 1
    assert denied.stdout.startswith(printed[1])


@pytest.mark.parametrize(
    "expect, difference",
    [
        ("status = 403", "status: expected 403, found 200"),
        ('verdict = "pass"', "verdict: expected pass, found grant"),
        ('user = "bob"', 'user: expected "bob", found "alice"'),
        ('groups = ["staff"]', 'groups: expected ["staff"], found []'),
        ('attributes = { email = "a@x" }', 'attribute "email": expected ["a@x"], found []'),
        ('challenge = "Basic"', 'challenge: expected one with "Basic", found none'),
        ('reads = ["path"]', "reads: expected path, found header authorization"),
        ("reads = []", "reads: expected nothing, found header authorization"),
    ],
)
def test_a_difference_is_shown_with_what_the_plugin_decided(tmp_path, expect, difference):
    cases = PASSWORD + case("a", expect, headers={"Authorization": ALICE}) + case("b", "status = 401")
    done = ask(tmp_path, "simple", cases)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "FAILED  a",
        f"        {difference}",
        '        the plugin grants user "alice"',
        "ok      b",
        "1 passed, 1 failed",
    ]
    assert ALICE.split()[1] not in done.stdout


def test_what_was_asked_without_a_grant_is_shown(tmp_path, api_key_component):
    settings = '[settings]\nkey = "k"\n'
    done = ask(tmp_path, api_key_component, settings + case("a", "status = 200", headers={"X-Api-Key": "k"}))
    assert done.returncode == 1
    assert "        asked header x-api-key: not granted\n" in done.stdout, done.stdout


FAILING = """
[settings]
url = "http://127.0.0.1:1"
[grants]
headers = ["x-do"]
[limits]
deadline = "500ms"
breaker = 1
"""


def test_a_plugin_that_fails_is_a_result_and_no_case_suffers_from_others(tmp_path, hostile_component):
    """The circuit breaker would turn away every case after the first."""
    done = ask(
        tmp_path,
        hostile_component,
        FAILING
        + case("panic", 'status = 503, verdict = "fail"', headers={"X-Do": "panic"})
        + case("loop", 'status = 503, verdict = "fail"', headers={"X-Do": "loop"})
        + case("unexpected panic", "status = 401", headers={"X-Do": "panic"})
        + case("good", 'status = 200, user = "alice"', headers={"X-Do": "nothing bad"})
        + case("warnings", "status = 401", headers={"X-Do": "whisper"}),
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "ok      panic",
        "ok      loop",
        "FAILED  unexpected panic",
        "ok      good",
        "FAILED  warnings",
        "3 passed, 2 failed",
    ]
    said = [line.strip() for line in lines if line.startswith(" ")]
    assert any(line.startswith("the plugin failed: ") for line in said), said
    assert any(line.startswith("said: ") and "requested by the test" in line for line in said), said
    assert any(line.startswith("said: ") and "a worry" in line for line in said), said


def test_junit_is_read_by_a_parser_whatever_the_texts_are(tmp_path, hostile_component):
    hostile = "]]></failure><x a='b' c=\"d\">&lt;"
    done = ask(
        tmp_path,
        hostile_component,
        FAILING
        + case(hostile, f"user = {json.dumps(hostile)}", headers={"X-Do": "nothing bad"})
        + case("good", "status = 200", headers={"X-Do": "nothing bad"})
        + case("control", 'user = "a\\u0000\\u001b[31m\\uFFFF"', headers={"X-Do": "line break in the name"})
        + case("talk", "status = 401", headers={"X-Do": "talk"}),
        "--junit",
        "junit.xml",
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert not re.search(r"[^\n\x20-\U0010ffff]", done.stdout)
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    [suite] = suites
    assert (suites.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "cases.toml")
    for counted in (suites, suite):
        assert [counted.get(key) for key in ("tests", "failures", "errors")] == ["4", "3", "0"]
        assert float(counted.get("time")) > 0
    assert [found.get("name") for found in suite] == [hostile, "good", "control", "talk"]
    assert {found.get("classname") for found in suite} == {"hostile"}
    assert [[child.tag for child in found] for found in suite] == [["failure"], [], ["failure"], ["failure"]]
    failure = suite[0][0]
    assert failure.get("message") in failure.text and 'found "alice"' in failure.text
    assert "the plugin grants" in failure.text


@pytest.mark.parametrize(
    "cases, mistake",
    [
        ("", "cases.toml: there is no case: add [[cases]]"),
        (case("a", ""), "cases.toml:4: cases[0].expect: expects nothing"),
        (case("a", "stauts = 1"), 'cases.toml:4: cases[0].expect.stauts: unknown key; did you mean "status"?'),
        ("[settings]\npasword = 'p'\n" + case("a", "status = 200"), "cases.toml:2: settings.pasword: unknown key"),
        ("[settings]\nrealm = 1\n" + case("a", "status = 200"), "cases.toml:2: settings.realm: "),
        ('[grants]\nheaders = ["cookie"]\n' + case("a", "status = 200"), "cases.toml:2: grants.headers[0]: "),
        ('[limits]\ndeadline = "1h"\n' + case("a", "status = 200"), "cases.toml:2: limits.deadline: must be "),
    ],
)
def test_a_mistake_in_the_file(tmp_path, cases, mistake):
    done = ask(tmp_path, "simple", cases, "--junit", "junit.xml")
    assert (done.returncode, done.stdout) == (1, "")
    assert mistake in done.stderr
    assert not (tmp_path / "junit.xml").exists()


def test_what_a_setting_needs_and_is_not_granted_is_a_warning(tmp_path):
    settings = '[settings]\napi_url = "http://10.0.0.1:8081/hub/api"\nservice_name = "app"\n'
    done = ask(tmp_path, "jupyterhub", settings + case("a", "status = 401"))
    assert done.returncode == 0, done.stderr
    warning, *others = done.stdout.splitlines()
    assert warning.startswith("warning cases.toml:2: settings.api_url: grants.http doesn't cover"), warning
    assert others[-1] == "1 passed"


@pytest.mark.parametrize(
    "plugin, file, arguments, mistake",
    [
        ("simple", "gone.toml", (), "gone.toml: can't be opened: "),
        ("./gone.wasm", "cases.toml", (), "./gone.wasm: can't be opened: "),
        ("jtw", "cases.toml", (), "`portcullis plugin list` names the built-in plugins"),
        ("./cases.toml", "cases.toml", (), "./cases.toml: "),
        ("simple", "cases.toml", ("--junit", "gone/junit.xml"), "gone/junit.xml: can't be written: "),
    ],
)
def test_a_file_that_is_missing(tmp_path, plugin, file, arguments, mistake):
    (tmp_path / "cases.toml").write_text(case("a", "status = 401"))
    done = run("plugin", "test", plugin, file, *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert mistake in done.stderr


FETCH = '[settings]\nurl = "https://id.test/a?b=c"\n[grants]\nheaders = ["x-do"]\nhttp = ["https://id.test"]\n'
"""The hostile guest sends a GET to its URL when it is told `egress`, and waits a second."""
SERVER = '[[servers]]\nurl = "https://ID.test:443"\n'


def egress(name, expect, more=""):
    return case(name, expect, headers={"X-Do": "egress"}) + more


def response(text):
    return f"[[servers.responses]]\n{text}\n"


def test_the_file_plays_servers(tmp_path, hostile_component):
    played = SERVER + response('method = "POST"\nstatus = 500') + response('path = "/a?b"') + response('path = "/a"\nbody = "hello"')
    call = '{ url = "https://id.test/a?b=c", headers = { Accept-Encoding = "identity" }, body = "" }'
    cases = FETCH + played + egress("one", f'status = 200, user = "alice", calls = [{call}]')
    done = ask(tmp_path, hostile_component, cases)
    assert (done.returncode, done.stdout) == (0, "ok      one\n1 passed\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "played, said",
    [
        (SERVER + response("hang_up = true"), "closed"),
        (SERVER + response('delay = "5s"'), "in time"),
        ('[[servers]]\nurl = "https://other.test"\n', "refuses the connection"),
        ('[[servers]]\nurl = "http://id.test"\n', "refuses the connection"),
        ('[[servers]]\nurl = "https://id.test:8443"\n', "refuses the connection"),
        (SERVER + response('file = "large"'), "the answer is larger than 1048576 bytes"),
    ],
)
def test_a_server_that_is_played_fails_as_a_real_one(tmp_path, hostile_component, played, said):
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    done = ask(tmp_path, hostile_component, FETCH + played + egress("one", "status = 503, user = 'x'"))
    assert (done.returncode, done.stderr) == (1, ""), done.stderr
    assert said in done.stdout.partition("the plugin ")[2].splitlines()[0], done.stdout


def test_grants_hold_for_servers_that_are_played(tmp_path, hostile_component):
    cases = FETCH.replace('"https://id.test"]', '"https://id.test:444"]') + SERVER + response("status = 200") + egress("one", "status = 503, calls = []")
    assert ask(tmp_path, hostile_component, cases).stdout.endswith("ok      one\n1 passed\n")


def test_what_is_asked_otherwise_is_shown(tmp_path, hostile_component):
    cases = FETCH + SERVER + egress("one", 'calls = ["GET https://id.test/", "POST https://id.test/"]')
    cases += egress("two", 'calls = [{ url = "https://id.test/a?b=c", headers = { X-A = "1" }, body = "x" }]')
    done = ask(tmp_path, hostile_component, cases)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAILED  one",
        "        calls: expected GET https://id.test/, POST https://id.test/, found GET https://id.test/a?b=c",
        '        the plugin grants user "alice"',
        "        asked GET https://id.test/a?b=c: the file has no response for it, so it was 404",
        "FAILED  two",
        '        GET https://id.test/a?b=c: x-a: expected ["1"], found []',
        '        GET https://id.test/a?b=c: body: expected "x", found ""',
        '        the plugin grants user "alice"',
        "        asked GET https://id.test/a?b=c: the file has no response for it, so it was 404",
        "0 passed, 2 failed",
    ]


def test_a_case_of_several_requests(tmp_path, hostile_component):
    """What one leaves behind, the next finds: a stored response, or a response that is used up."""
    then = "[[cases.then]]\nrequest.headers = { X-Do = 'egress' }\nexpect = { %s }\n"
    stored = SERVER + response('headers = { Cache-Control = "max-age=60" }')
    once = SERVER + response("times = 1\nhang_up = true") + response("times = 2")
    for played, first, second, third in [
        (stored, "status = 200", "status = 200, calls = []", "calls = []"),
        (once, "status = 503", "status = 200", "status = 200"),
    ]:
        done = ask(tmp_path, hostile_component, FETCH + played + egress("one", first, then % second + then % third))
        assert done.stdout == "ok      one\n1 passed\n", done.stdout
    failing = ask(tmp_path, hostile_component, FETCH + once + egress("one", "status = 503", then % "status = 503" + then % "status = 200"))
    assert failing.stdout.splitlines()[:3] == [
        "FAILED  one",
        "        request 2 of the case:",
        "        status: expected 503, found 200",
    ]


def test_the_servers_of_the_page(tmp_path):
    page = (ROOT / "docs/authors.md").read_text().split("#### Servers that the file plays")[1]
    file = re.search(r"(?s)```toml\n(.*?)```", page)[1]
    done = ask(tmp_path, build.language_example("python", "jwt"), file.replace("[[servers]]", '[limits]\nmemory = "64MiB"\n[[servers]]', 1))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("2 passed\n")


# Calls of a login


def github(tmp_path, change=("", "")):
    return ask(tmp_path, build.example_component("github"), (ROOT / "examples/github/cases.toml").read_text().replace(*change))


def test_the_page_shows_a_case_of_a_login_and_what_is_printed(tmp_path):
    page = (ROOT / "docs/authors.md").read_text().split("#### Calls of a login")[1].split("\n### ")[0]
    assert re.search(r"(?s)```toml\n(.*?)```", page)[1] in (ROOT / "examples/github/cases.toml").read_text()
    printed = [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n)+", page)]
    assert github(tmp_path).stdout == printed[0].partition("\n")[2]
    other = github(tmp_path, ('organization = "acme"', 'organization = "other"'))
    assert (other.returncode, other.stderr) == (1, "")
    assert other.stdout.startswith(printed[1])


HUB = """
[settings]
api_url = "https://hub.test/hub/api"
service_name = "app"
[settings.login]
authorize_url = "https://hub.test/hub/api/oauth2/authorize"
client_secret = "secret"
logout_url = "https://hub.test/hub/logout"
[grants]
http = ["https://hub.test"]
login = ["https://hub.test"]
[[servers]]
url = "https://hub.test"
[[servers.responses]]
path = "/hub/api/user"
json = { name = "alice", session_id = "s1", scopes = ["access:services!service=app"] }
[[servers.responses]]
path = "/hub/api/oauth2/token"
json = { access_token = "0123456789abcdef" }
"""


def login(name, *calls, more=""):
    calls = [f"{{ {call} }}" for call in calls]
    return f"[[logins]]\nname = {json.dumps(name)}\ncalls = [{', '.join(calls)}]\n{more}\n"


COMES_BACK = 'function = "finish", parameters = { code = "c" }'


def test_a_login_goes_through_all_its_functions(tmp_path):
    done = ask(
        tmp_path,
        "jupyterhub",
        HUB
        + case("a request", "status = 401")
        + login(
            "all",
            'function = "begin", state = "s", expect = { location = "https://hub.test/hub/api/oauth2/authorize", '
            'query = { state = "s", redirect_uri = "https://gateway.example/.portcullis/login/jupyterhub/callback", prompt = [] } }',
            COMES_BACK + ', expect = { outcome = "ok", user = "alice", handles = ["session:s1"], keep = "0123456789abcdef" }',
            'function = "renew", expect = { user = "alice", calls = ["GET https://hub.test/hub/api/user"] }',
            'function = "end", expect = { location = "https://hub.test/hub/logout" }',
            'function = "notice", parameters = { a = "b" }, expect = { outcome = "unauthenticated" }',
        )
        + login("without a session, nobody is asked", 'function = "renew", expect = { outcome = "not_mine", calls = [] }')
        + login("a memo of another plugin", 'function = "finish", memo = "", parameters = { code = "c" }, expect = { calls = [] }')
        + login("a hub that is down", 'function = "begin"', COMES_BACK + ', expect = { outcome = "unavailable" }', more=DOWN),
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("5 passed\n")


DOWN = 'servers = [{ url = "https://hub.test", responses = [{ hang_up = true }] }]'


@pytest.mark.parametrize(
    "call, difference, said",
    [
        (COMES_BACK + ', expect = { outcome = "forbidden" }', "outcome: expected forbidden, found ok", 'user "alice" has a session'),
        (COMES_BACK + ', expect = { user = "bob" }', 'user: expected "bob", found "alice"', "keeps 16 bytes"),
        (COMES_BACK + ", expect = { handles = [] }", 'handles: expected [], found ["session:s1"]', 'has the handles ["session:s1"]'),
        (COMES_BACK + ', expect = { why = "x" }', 'why: expected "x", found no refusal', "user"),
        (COMES_BACK + ', expect = { renew_after = "1s" }', "renew_after: expected 1s, found 5m", "renewed after 5m"),
        (COMES_BACK + ", expect = { calls = [] }", "calls: expected none, found POST https://hub.test/hub/api/oauth2/token", "user"),
        (
            'function = "end", expect = { location = "" }',
            'location: expected "", found "https://hub.test/hub/logout"',
            "the browser goes to https://hub.test/hub/logout",
        ),
        (
            'function = "begin", expect = { query = { client_id = "x" } }',
            'query "client_id": expected ["x"], found ["service-app"]',
            "the browser goes to https://hub.test/hub/api/oauth2/authorize?",
        ),
        ('function = "notice", expect = { outcome = "ok" }', "outcome: expected ok, found unauthenticated", "nobody has logged in: "),
    ],
)
def test_a_difference_of_a_login_is_shown_with_its_answer(tmp_path, call, difference, said):
    done = ask(tmp_path, "jupyterhub", HUB + login("a", 'function = "begin"', call), "--junit", "junit.xml")
    assert done.returncode == 1, done.stdout
    lines, function = done.stdout.splitlines(), call.split('"')[1]
    assert lines[:2] == ["FAILED  a", f"        call 2 of the case, {function}:"]
    assert lines[2].startswith(f"        {difference}") and any(said in line for line in lines), done.stdout
    [failure] = ET.parse(tmp_path / "junit.xml").getroot().iter("failure")
    assert failure.get("message").startswith(difference)


def test_a_place_that_is_not_granted_is_a_failure_of_the_login(tmp_path):
    cases = HUB.replace('login = ["https://hub.test"]', "") + login("a", 'function = "begin", expect = { outcome = "fail" }')
    done = ask(tmp_path, "jupyterhub", cases + login("b", 'function = "begin", expect = { outcome = "ok" }'))
    assert "ok      a\n" in done.stdout and "which grants.login doesn't cover" in done.stdout, done.stdout


def test_a_plugin_that_is_no_login_has_no_such_cases(tmp_path):
    done = ask(tmp_path, "simple", login("a", 'function = "begin"'))
    assert done.returncode == 1 and "the component is no login" in done.stderr, done.stderr


def test_no_case_asks_the_servers_of_another(tmp_path):
    """Those of the second case are real: there is none."""
    (tmp_path / "cases.toml").write_text("")
    played = HUB.split("[[servers]]")[0] + '[limits]\ndeadline = "3s"\n'
    server = 'servers = [{ url = "https://hub.test", responses = [{ path = "/hub/api/user", json = { name = "alice", scopes = [] } }] }]'
    one = login("one", 'function = "renew", keep = "0123456789abcdef", expect = { outcome = "forbidden" }', more=server)
    two = login("two", 'function = "renew", keep = "0123456789abcdef", expect = { outcome = "unavailable" }')
    done = ask(tmp_path, "jupyterhub", played + one + two)
    assert done.stdout.endswith("ok      one\nok      two\n2 passed\n"), done.stdout
