"""docs/policies.md: each of its policies is run as it stands there."""

import datetime
import glob
import re
import shlex
import time

import pytest

from harness.gateway import run
from harness.page import blocks, comparable, is_printed, section, sessions
from harness.paths import ROOT
from test_cedar import PEOPLE, SECRET, token

PAGE = (ROOT / "docs/policies.md").read_text()
SIMPLE = '[authenticators.people]\nplugin = "simple"\n'
[FAKETIME] = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
OFFICE, HOME = "192.0.2.17", "198.51.100.4"


API = section(PAGE, "An API: everybody reads, a group writes from the office")
DASHBOARDS = section(PAGE, "dask-gateway: teams see the dashboards of their clusters")
WINDOW = section(PAGE, "A maintenance window")


def written(folder, *sections):
    """Writes the policies and entities of sections to where their first lines and the configuration say."""
    for text in sections:
        for policies in blocks(text, "cedar"):
            path = folder / re.match(r"// (\S+)\n", policies)[1]
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(policies)
        for entities in blocks(text, "json"):
            (folder / "teams.json").write_text(entities)


@pytest.fixture
def start(serve, upstream, tmp_path):
    """Starts the configuration of the page, with users whose groups a test can choose."""

    def start(config, *sections, **environment):
        written(tmp_path / "gateway-0", *sections)
        config = config.replace(SIMPLE, "").replace("http://127.0.0.1:8001", upstream.url)
        return serve(PEOPLE + config, server='trusted_proxies = ["127.0.0.1"]\n', SECRET=SECRET, **environment)

    return start


def asked(gateway, method, path, client, *who, **claims):
    return gateway.send(path, token(*who, **claims) | {"X-Forwarded-For": client}, method=method)


def whole(introduction):
    """The configuration at the top of the page."""
    [config] = blocks(introduction, "toml")
    assert SIMPLE in config
    return config


def test_an_api_is_read_by_all_and_written_from_the_office(start):
    gateway = start(whole(PAGE.split("\n## ")[0]), API)
    editor = ("alice", ["editors"])
    for method, path, client, who, status in [
        ("GET", "/api/v1/pages", HOME, ("bob",), 200),
        ("POST", "/api/v1/pages", OFFICE, editor, 200),
        ("POST", "/api/v1/pages", HOME, editor, 403),
        ("POST", "/api/v1/pages", OFFICE, ("bob",), 403),
        ("DELETE", "/api/v1/audit/1", OFFICE, editor, 403),
        ("GET", "/api/v1/audit/1", HOME, editor, 200),
        ("GET", "/other", OFFICE, editor, 403),
    ]:
        assert asked(gateway, method, path, client, *who).status == status, (method, path, client, who)


def test_a_team_sees_the_dashboards_of_its_clusters(start):
    [config] = blocks(DASHBOARDS, "toml")
    gateway = start(config, DASHBOARDS)
    for path, client, who, status in [
        ("/clusters/physics.1f3a/status", HOME, ("alice", ["physics"]), 200),
        ("/clusters/physics.1f3a/status", HOME, ("bob", ["maths"]), 404),
        ("/clusters/maths.77/status", HOME, ("bob", ["maths", "staff"]), 200),
        ("/clusters/physics.1f3a", HOME, ("carol",), 200),
        ("/clusters/maths.77", HOME, ("carol",), 404),
        ("/clusters/maths.77", OFFICE, ("carol",), 200),
        ("/clusters/maths.77", OFFICE, ("alice", ["physics"]), 200),
        ("/clusters/unnamed", HOME, ("alice", ["physics"]), 404),
    ]:
        assert asked(gateway, "GET", path, client, *who).status == status, (path, client, who)
    assert asked(gateway, "POST", "/clusters/physics.1f3a", HOME, "alice", ["physics"]).status == 404


@pytest.mark.parametrize(
    "now, claims, answer",
    [
        ("2027-03-14T01:59:00", {}, None),
        ("2027-03-14T02:00:01", {"admin": True}, "Maintenance until 6:00 UTC. Reading works."),
        ("2027-03-15T06:00:01", {}, None),
        ("2027-03-21T03:59:00", {}, "Backups run on Sundays from 2:00 to 4:00 UTC. Reading works."),
        ("2027-03-21T03:59:00", {"admin": True}, None),
        ("2027-03-21T04:00:01", {}, None),
        ("2027-03-22T03:00:00", {}, None),
    ],
)
def test_nothing_is_written_in_a_maintenance_window(start, now, claims, answer):
    there = datetime.datetime.fromisoformat(now).replace(tzinfo=datetime.UTC).timestamp()
    [config] = blocks(WINDOW, "toml")
    rest = re.search(r"(?ms)^\[\[routes\]\].*", whole(PAGE.split("\n## ")[0]))[0]
    offset = round(there - time.time())
    clock = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{offset:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    gateway = start(config + rest, API, WINDOW, **clock)
    written = asked(gateway, "POST", "/api/v1/pages", OFFICE, "alice", ["editors"], **claims)
    assert written.status == (403 if answer else 200)
    assert not answer or written.body.decode() == answer
    assert asked(gateway, "GET", "/api/v1/pages", HOME, "bob").status == 200


def test_the_schema_of_the_page_is_the_plugins():
    """Each attribute of the schema is in the table, and each of the table in the schema."""
    source = (ROOT / "plugins/cedar/src/schema.rs").read_text()
    types = dict(re.findall(r"(?ms)^(?:entity|type) (User|Path|Context)\b[^\n]*\{\{?\n(.*?)^(?:\{\w+\})?\}\}", source))
    words = {"User": "principal", "Path": "resource", "Context": "context"}
    known = {f"{words[kind]}.{name}" for kind, text in types.items() for name in re.findall(r"(?m)^  (\w+): ", text)}
    table = section(PAGE, "What policies can speak of")
    named = set(re.findall(r"`((?:principal|resource|context)\.\w+)`", "".join(re.findall(r"(?m)^\| (.*?) \|", table))))
    assert known and named - {"principal.email", "resource.team"} == known


def test_the_commands_of_the_page_say_what_it_says(tmp_path):
    written(tmp_path, API)
    (tmp_path / "portcullis.toml").write_text(whole(PAGE.split("\n## ")[0]))
    [session, mistake] = re.findall(r"(?m)(?:^    .*\n)+", section(PAGE, "Try a policy"))
    policies = tmp_path / "policies/api.cedar"
    for text in (session, mistake):
        if text is mistake:
            policies.write_text(policies.read_text().replace("context.client", "context.clint"))
        for command, shown in sessions(text):
            found = run(*shlex.split(command.removeprefix("portcullis ")), folder=tmp_path)
            said = "".join(f"{line}\n" for line in comparable((found.stdout + found.stderr).splitlines(), None))
            assert is_printed(comparable(shown, None), said), said
