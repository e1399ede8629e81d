"""`plugin conformance`: good plugins pass, and each way to be bad fails with the line that names it. `plugin bench` measures them."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from harness import build, raw_plugins
from harness.gateway import run
from harness.paths import ROOT

SETTINGS = {
    "cedar": "[settings]\npolicies = 'permit (principal, action == Action::\"GET\", resource);'\n",
    "simple": '[settings]\npassword = "p"\n',
    "jwt": """
[[settings.issuers]]
issuer = "https://id.test"
audiences = ["app"]
secret = "a secret of more than thirty-two bytes"
[settings]
token_from = [{ header = "authorization", scheme = "bearer" }, { cookie = "token" }, { query = "token" }, { basic = "password" }]
[grants]
headers = ["authorization"]
cookies = ["token"]
query = ["token"]
""",
    "jupyterhub": """
[settings]
api_url = "http://127.0.0.1:1/hub/api"
service_name = "app"
[grants]
headers = ["authorization"]
http = ["http://127.0.0.1:1"]
""",
    "kerberos": '[settings]\nacceptor = "main"\nrealms = ["EXAMPLE.ORG"]\n',
    "oidc": """
[settings]
issuer = "http://127.0.0.1:1/realms/a"
client_id = "us"
[grants]
http = ["http://127.0.0.1:1"]
""",
    "github": '[settings]\nclient_id = "a"\nclient_secret = "b"\norganization = "science"\n',
    "htpasswd": '[settings]\nusers = "alice:$2y$04$2kAH0mCHTGTWvMPj0gRw4.G9mJ9jDkYK6bNcg3WIYlLtXUWIXBBWu"\n',
    "introspection": """
[settings]
endpoint = "http://127.0.0.1:1/introspect"
client_id = "a"
client_secret = "b"
audience = "app"
[grants]
headers = ["authorization"]
http = ["http://127.0.0.1:1"]
""",
}
CASE = '[[cases]]\nname = "plain"\nexpect = { status = 401 }\n'
PASSED = [
    "the schema of the settings can be checked",
    "# odd settings are accepted, or refused with a reason",
    "# requests are answered: plain, empty, malformed and huge ones",
    "the same request gets the same answer",
    "a copy of a configured instance gives the same answers",
    "it asks for nothing but what its manifest and its settings name",
]
SERVED = [
    "every case is answered while the servers that the file plays answer",
    "it asks no server but those that its manifest and its settings name",
    "# bad answers of servers lead to an answer: none, garbage, errors and huge ones",
]
LOGIN = [
    "# calls of the login are answered and let nobody in: empty, malformed and huge ones",
    "the same call of the login gets the same answer",
    "a copy of a configured instance answers the calls of the login in the same way",
]
LOGIN_SERVED = [
    "every case of the login is answered while the servers that the file plays answer",
    "the login asks no server but those that its manifest and its settings name",
    "# bad answers of servers lead to an answer of the login",
]
LOGINS = ["jupyterhub", "oidc", "github"]


def conform(tmp_path, plugin, cases, *arguments):
    (tmp_path / "cases.toml").write_text(cases)
    return run("plugin", "conformance", plugin, "cases.toml", *arguments, folder=tmp_path)


def lines(done, label):
    found = [line[8:] for line in done.stdout.splitlines() if line.startswith(label.ljust(8))]
    return [re.sub(r"^\d+ (odd|requests|bad|calls)", r"# \1", line) for line in found]


@pytest.mark.parametrize("plugin", ["cedar", "simple", "jwt", "jupyterhub", "kerberos", "oidc"])
def test_every_built_in_plugin_conforms(tmp_path, plugin):
    done = conform(tmp_path, plugin, SETTINGS[plugin] + CASE)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == PASSED + (LOGIN if plugin in LOGINS else [])


@pytest.mark.parametrize("name", ["api_key", "github", "htpasswd", "introspection"])
def test_every_example_conforms(tmp_path, name):
    cases = (ROOT / "examples/api_key/cases.toml").read_text() if name == "api_key" else SETTINGS[name] + CASE
    done = conform(tmp_path, build.example_component(name), cases)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == PASSED + (LOGIN if name in LOGINS else [])


def test_the_example_of_a_login_is_short():
    """So that it can be read at once."""
    assert len((ROOT / "examples/github/src/lib.rs").read_text().splitlines()) < 120


def test_the_login_of_the_page_conforms(tmp_path):
    page = (ROOT / "docs/authors.md").read_text().split("\n### Conformance")[1].split("\n### ")[0]
    printed = [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n)+", page)][1]
    done = conform(tmp_path, build.example_component("github"), (ROOT / "examples/github/cases.toml").read_text())
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == [*PASSED, *LOGIN, *LOGIN_SERVED]
    assert done.stdout == printed.partition("\n")[2]


def test_a_plugin_in_another_language_conforms(tmp_path, python_component):
    cases = '[settings.badges]\na = "alice"\n[grants]\nheaders = ["x-badge"]\n[limits]\nmemory = "128MiB"\n' + CASE
    done = conform(tmp_path, python_component, cases)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == PASSED
    assert "(it has no manifest that says what it asks for)" in done.stdout


@pytest.mark.timeout(500)  # The copy of a plugin in JavaScript takes over a minute of one processor in a debug build.
@pytest.mark.parametrize(
    "language, name",
    [(path.parts[-3], path.parts[-2]) for path in sorted((ROOT / "examples").glob("*/*/cases.toml")) if path.parts[-2] != "github"],
)
def test_every_example_in_another_language_conforms(tmp_path, language, name):
    """The file says that instances are kept, so that this is checked too. The login has a test of its own."""
    folder = ROOT / "examples" / language / name
    component = build.language_example(language, name)
    cases = (folder / "cases.toml").read_text()
    done = conform(tmp_path, component, "instances = { keep = 1 }\n" + cases)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    served = SERVED if "[[servers]]" in cases else []
    kept = "an instance that is kept gives the same answers"
    assert lines(done, "ok") == [*PASSED[:5], kept, PASSED[5], *served]


@pytest.mark.timeout(600)
def test_the_login_in_python_conforms(tmp_path):
    """That in JavaScript takes a debug build three minutes: its cases are in `test_language_examples.py`."""
    cases = ROOT / "examples/python/github/cases.toml"
    done = run("plugin", "conformance", build.language_example("python", "github"), cases, folder=tmp_path, timeout=500)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == [*PASSED, *LOGIN, *LOGIN_SERVED]


def test_without_a_file_it_gets_what_it_asks_for(tmp_path):
    done = run("plugin", "conformance", "simple", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert lines(done, "ok") == PASSED
    needs = run("plugin", "conformance", "kerberos", folder=tmp_path)
    assert (needs.returncode, needs.stdout) == (1, "")
    assert 'the key "acceptor" is missing' in needs.stderr


def case(header, value):
    return f'[[cases]]\nname = {json.dumps(value)}\nrequest.headers = {{ {header} = {json.dumps(value)} }}\nexpect.status = 503\n'


HOSTILE = '[grants]\nheaders = ["x-do"]\n[limits]\ndeadline = "500ms"\n'
ANSWERED = PASSED[2]


@pytest.mark.parametrize(
    "guest, settings, command, check, line",
    [
        ("hostile", "", "panic", ANSWERED, 'case "panic": the plugin failed: it was stopped: it panicked or aborted'),
        ("hostile", "", "loop", ANSWERED, 'case "loop": the plugin failed: it was stopped: it was not done by its deadline'),
        ("hostile", "", "eat memory", ANSWERED, 'case "eat memory": the plugin failed: it was stopped: it panicked or aborted; before, it was refused more memory'),
        ("hostile", "", "recurse", ANSWERED, 'case "recurse": the plugin failed: it was stopped'),
        ("hostile", "", "framing header", ANSWERED, 'case "framing header": the plugin failed: '),
        ("hostile", "", "impossible status", ANSWERED, 'case "impossible status": the plugin failed: '),
        ("hostile", "", "line break in a challenge", ANSWERED, 'case "line break in a challenge": the plugin failed: '),
        ("hostile", "", "huge body", ANSWERED, 'case "huge body": the plugin failed: '),
        ("hostile", "[settings]\npanic = false\n", "nothing bad", PASSED[1], "panic: true: the plugin can't be configured: it was stopped"),
        ("prober", "", "found", PASSED[3], 'case "found": user: first '),
        ("prober", '[settings]\na = "time"\n', "found", PASSED[4], 'case "found": user: first '),
    ],
)  # fmt: skip
def test_a_bad_plugin_fails_with_the_line_that_says_why(tmp_path, guest, settings, command, check, line):
    done = conform(tmp_path, build.guest_component(guest), settings + HOSTILE + case("X-Do", command))
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    assert check in lines(done, "FAILED"), done.stdout
    assert any(found.startswith(line) for found in lines(done, "")), done.stdout


HUB = """
[settings]
api_url = "https://hub.test/hub/api"
service_name = "app"
[grants]
headers = ["authorization"]
http = ["https://hub.test"]
[limits]
deadline = "11s"
[[servers]]
url = "https://hub.test"
responses = [{ path = "/hub/api/user", json = { name = "alice", groups = ["staff"], scopes = ["access:services!service=app"] } }]
[[cases]]
name = "a token of the hub"
request.headers = { Authorization = "Bearer 0123456789abcdef" }
expect = { status = 200, user = "alice" }
"""
INTROSPECTION = (
    SETTINGS["introspection"].replace("http://127.0.0.1:1", "https://id.test")
    + """
[[servers]]
url = "https://id.test"
responses = [{ json = { active = true, sub = "alice", aud = "app" } }]
[[cases]]
name = "an opaque token"
request.headers = { Authorization = "Bearer 0123456789abcdef" }
expect = { status = 200, user = "alice" }
"""
)


@pytest.mark.parametrize(
    "plugin, cases", [(lambda: "jupyterhub", HUB), (lambda: build.example_component("introspection"), INTROSPECTION)], ids=["hub", "introspection"]
)
def test_a_plugin_that_asks_servers_conforms_with_those_of_the_file(tmp_path, plugin, cases):
    tested = run("plugin", "test", plugin(), write(tmp_path, cases), folder=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    done = conform(tmp_path, plugin(), cases)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == [*PASSED, *(LOGIN if plugin() in LOGINS else []), *SERVED]
    [many] = re.findall(r"(?m)^ok +(\d+) bad answers", done.stdout)
    assert int(many) > 40


HUB_LOGIN = (
    HUB.replace("[grants]", '[settings.login]\nauthorize_url = "https://hub.test/authorize"\nclient_secret = "s"\n[grants]\nlogin = ["https://hub.test"]')
    + """
[[logins]]
name = "alice logs in"
servers = [{ url = "https://hub.test", responses = [{ path = "/hub/api/oauth2/token", json = { access_token = "0123456789abcdef" } }] }]
calls = [
    { function = "begin" },
    { function = "finish", parameters = { code = "c" }, expect = { user = "alice" } },
    { function = "renew", expect = { user = "alice" } },
]
"""
)


def test_a_login_conforms_with_the_servers_of_the_file(tmp_path):
    done = conform(tmp_path, "jupyterhub", HUB_LOGIN)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines(done, "ok") == [*PASSED, *LOGIN, *SERVED, *LOGIN_SERVED]


SCRIPTED = '[settings]\nbegin = "go https://id.example/authorize 10"\n%s\n[grants]\nlogin = ["https://id.example"]\n' + CASE


@pytest.mark.parametrize(
    "setting, line",
    [
        ('begin = "go https://evil.example 10"', "begin with a usual flow: failed: "),
        ('begin = "go https://id.example/authorize 513"', "begin with a usual flow: failed: "),
        ('begin = "panic"', "begin with a usual flow: failed: "),
        ('finish = "arrive alice 10"', "finish with nothing: it lets somebody in whom no provider knows: user \"alice\""),
        ('finish = "arrive alice 10 a b c d e"', "finish with nothing: failed: "),
        ('finish = "loop"', "finish with nothing: failed: "),
        ('end = "place https://evil.example/"', "end with nothing in what is kept: failed: "),
        ('notice = "handles sid:1"', "notice with nothing: it takes anybody's word for a notice: the sessions of [\"sid:1\"] are over"),
        ('notice = "handles 129"', "notice with nothing: failed: "),
    ],
)
def test_a_bad_login_fails_with_the_line_that_says_why(tmp_path, setting, line):
    cases = SCRIPTED % "" if setting.startswith("begin") else SCRIPTED % setting
    if setting.startswith("begin"):
        cases = cases.replace('begin = "go https://id.example/authorize 10"', setting)
    done = conform(tmp_path, build.guest_component("scripted"), cases.replace("[grants]", '[limits]\ndeadline = "500ms"\n[grants]'))
    assert (done.returncode, lines(done, "FAILED")) == (1, [LOGIN[0]]), done.stdout
    assert any(found.startswith(line) for found in lines(done, "")), done.stdout


def write(tmp_path, cases):
    (tmp_path / "written.toml").write_text(cases)
    return tmp_path / "written.toml"


ASKED = """
[settings]
url = "https://id.test/name"
[grants]
headers = ["x-do"]
http = ["https://id.test"]
[limits]
deadline = "500ms"
[[servers]]
url = "https://id.test"
responses = [{ path = "/name", body = "alice" }]
"""


@pytest.mark.parametrize(
    "command, line",
    [
        ("believe the answer", 'case "believe the answer": GET https://id.test/name answers bytes that aren\'t UTF-8: the plugin failed: it was stopped: it panicked'),
        ("wait for the answer", 'case "wait for the answer": GET https://id.test/name never answers: the plugin failed: it was stopped: it was not done by its deadline'),
    ],
)  # fmt: skip
def test_a_plugin_that_trusts_its_servers_fails(tmp_path, command, line):
    done = conform(tmp_path, build.guest_component("hostile"), ASKED + case("X-Do", command))
    assert (done.returncode, lines(done, "FAILED")) == (1, [SERVED[2]]), done.stdout
    assert any(found.startswith(line) for found in lines(done, "")), done.stdout


def test_a_plugin_that_asks_a_server_that_it_does_not_name_fails(tmp_path):
    manifest, hostile = tmp_path / "manifest.json", tmp_path / "hostile.wasm"
    hostile.write_bytes(build.guest_component("hostile").read_bytes())
    for named, asked in [("https://other.test", "https://id.test/name"), ("https://id.test/keys", "https://id.test/name"), ("https://id.test", None)]:
        manifest.write_text(json.dumps({"name": "sly", "grants": {"headers": ["x-do"], "http": [named]}}))
        assert run("plugin", "manifest", hostile, manifest, folder=tmp_path).returncode == 0
        cases = ASKED.replace('"500ms"', '"5s"') + case("X-Do", "egress")
        done = conform(tmp_path, hostile, cases)
        assert (SERVED[1] in lines(done, "FAILED")) == bool(asked), done.stdout
        assert not asked or f'case "egress": it asks {asked}' in lines(done, ""), done.stdout
    # It goes on whatever the server says, which is told.
    assert re.search(r"\(\d+ times a request is let through although a server says nothing of use. The first: case \"egress\": ", done.stdout)


def test_an_authorizer_that_permits_whatever_its_server_says_is_told(tmp_path, judge):
    words = "ask https://id.test/name"
    asked = ASKED.replace('"x-do"', '"x-judge"').replace('url = "https://id.test/name"\n', '', 1)
    case = f"[[cases]]\nname = 'ask'\nrequest.headers = {{ X-Judge = '{words}' }}\nuser = {{ name = 'alice' }}\nexpect.verdict = 'permit'\n"
    done = conform(tmp_path, judge, asked + case)
    assert re.search(r"\(\d+ times a request is let through although a server says nothing of use. The first: case \"ask\": ", done.stdout), done.stdout


def test_a_self_test_that_fails_is_a_failure(tmp_path, api_key_component):
    manifest, key = tmp_path / "manifest.json", tmp_path / "key.wasm"
    key.write_bytes(api_key_component.read_bytes())
    for verdict, code in [("pass", 0), ("grant", 1)]:
        test = [{"name": "nothing", "expect": {"verdict": verdict}}]
        manifest.write_text(json.dumps({"name": "key", "grants": {"headers": ["x-api-key"]}, "self_test": test}))
        assert run("plugin", "manifest", key, manifest, folder=tmp_path).returncode == 0
        done = conform(tmp_path, key, (ROOT / "examples/api_key/cases.toml").read_text())
        assert (done.returncode, "its self-test passes" in lines(done, "FAILED" if code else "ok")) == (code, True), done.stdout


def test_a_plugin_that_asks_for_more_than_it_says_fails(tmp_path, api_key_component):
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"name": "sly", "grants": {}}')
    key = tmp_path / "key.wasm"
    key.write_bytes(api_key_component.read_bytes())
    assert run("plugin", "manifest", key, manifest, folder=tmp_path).returncode == 0
    done = conform(tmp_path, key, (ROOT / "examples/api_key/cases.toml").read_text())
    assert (done.returncode, lines(done, "FAILED")) == (1, [PASSED[5]]), done.stdout
    assert lines(done, "") == ["it asks for header x-api-key"]
    hostile = tmp_path / "hostile.wasm"
    hostile.write_bytes(build.guest_component("hostile").read_bytes())
    manifest.write_text('{"name": "sly", "grants": {"headers": ["x-do"]}}')
    assert run("plugin", "manifest", hostile, manifest, folder=tmp_path).returncode == 0
    done = conform(tmp_path, hostile, '[settings]\nurl = "http://192.0.2.1"\n' + HOSTILE + case("X-Do", "egress"))
    assert (done.returncode, lines(done, "FAILED")) == (1, [PASSED[5]]), done.stdout
    assert lines(done, "") == ["it sends requests to other servers"]


def test_a_schema_that_no_gateway_reads_fails(tmp_path):
    schema = b'{"contains": {}}'
    place = (4096).to_bytes(4, "little") + len(schema).to_bytes(4, "little")
    bad = raw_plugins.component(
        memory='(memory (export "memory") 80)',
        module=f'(data (i32.const 128) "{raw_plugins.escaped(place)}") (data (i32.const 4096) "{raw_plugins.escaped(schema)}")',
    )
    done = run("plugin", "conformance", bad, folder=tmp_path)
    assert done.returncode == 1
    assert "contains" in done.stdout + done.stderr


def test_junit_has_every_check(tmp_path, hostile_component):
    done = conform(tmp_path, hostile_component, HOSTILE + case("X-Do", "panic"), "--junit", "junit.xml")
    assert done.returncode == 1
    [suite] = ET.parse(tmp_path / "junit.xml").getroot()
    assert suite.get("name") == f"conformance of {hostile_component}"
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["4", "1", "0"]
    assert ["requested by the test" in (failure.text or "") for failure in suite.iter("failure")] == [True]


def test_bench_tells_what_a_call_costs(tmp_path, api_key_component):
    cases = ROOT / "examples/api_key/cases.toml"
    done = run("plugin", "bench", api_key_component, cases, "--calls", "30", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.splitlines()
    assert printed[0] == "each call configures an instance:"
    assert printed[5] == "each call begins with a copy of a configured instance:"
    head = "  calls/s    cpu µs    p50 µs    p90 µs    p99 µs    max µs     memory  case"
    assert printed[1] == printed[6] == head
    names = ["the key lets in (grant)", "another key is refused (reject)"]
    names.append("without a key, the next authenticator is asked (pass)")
    for start in (2, 7):
        for line, name in zip(printed[start : start + 3], names, strict=True):
            numbers = line.removesuffix(name).split()
            assert len(numbers) == 8 and numbers[7] == "KiB", line
            calls, processor, p50, p90, p99, most, memory = (float(number) for number in numbers[:7])
            assert calls > 0 and processor >= 0 and memory > 0, line
            assert 0 < p50 <= p90 <= p99 <= most, line
    never = run("plugin", "bench", build.guest_component("prober"), write_case(tmp_path, "nothing"), "--calls", "3", folder=tmp_path)
    assert "there is no copy of a configured instance: " in never.stdout
    assert run("plugin", "bench", api_key_component, cases, "--calls", "0", folder=tmp_path).returncode == 2


def write_case(tmp_path, command):
    path = tmp_path / "cases.toml"
    path.write_text('[settings]\na = "random"\n' + HOSTILE + case("X-Do", command))
    return path
