"""Hot reload: a running gateway takes up every kind of change, and names it without values in its log."""

import os
import time

import pytest
from test_outbound import fetch, fetcher

from harness.client import ALICE, basic
from harness.config import PEOPLE, route, whoami
from harness.gateway import ADMIN
from harness.process import eventually
from harness.reload import ask, changes, command, configure, folder, put_secret, reload, reloads, start, written

HUB = '[authenticators.hub]\nplugin = "simple"\nsettings.password = "{}"\n'
APP = '[upstreams.app]\nservers = ["UPSTREAM"]\n'
TO_APP = '[[routes]]\npath = "/app"\nupstream = "app"\npublic = true\n'
OPEN = '[[routes]]\npath = "/x"\nupstream = "UPSTREAM"\npublic = true\n'
CLOSED = OPEN.replace("public = true", 'authenticators = ["people"]')
ANY = '[[routes]]\npath = "/x"\nupstream = "UPSTREAM"\nauthenticators = ["hub"]\n'
KEYS = '[session]\nkeys = ["env:{}"]\n'
BOB = basic("bob", "two")

MANY = {f"X-{number}": "" for number in range(90)}

CHANGES = {
    # What is added to the configuration before and after, the changes, a request, and its status before and after.
    "a route is added": ("", OPEN, ["+route /x"], ("/x",), (401, 200)),
    "a route is removed": (OPEN, "", ["-route /x"], ("/x",), (200, 401)),
    "a route is closed": (OPEN, CLOSED, ["~route /x: authenticators, public"], ("/x",), (200, 401)),
    "a route takes less": (
        OPEN,
        OPEN + 'max_body_size = "2B"\n',
        ["~route /x: max_body_size"],
        ("/x", (), "POST", b"much"),
        (200, 413),
    ),
    "an authenticator is added": (
        CLOSED,
        HUB.format("one") + ANY,
        ["+authenticator hub", "~route /x: authenticators"],
        ("/x", BOB),
        (200, 401),
    ),
    "a setting": (
        HUB.format("one") + ANY,
        HUB.format("two") + ANY,
        ["~authenticator hub: settings.password"],
        ("/x", BOB),
        (401, 200),
    ),
    "a grant": (
        HUB.format("two") + ANY,
        HUB.format("two") + 'grants.headers = ["x-a"]\n' + ANY,
        ["~authenticator hub: grants.headers"],
        ("/x", BOB),
        (200, 401),
    ),
    "an authenticator is removed": (HUB.format("two"), "", ["-authenticator hub"], ("/", BOB), (200, 200)),
    "an upstream is added": ("", APP + TO_APP, ["+route /app", "+upstream app"], ("/app",), (401, 200)),
    "an upstream is changed": (
        APP.replace("UPSTREAM", "http://127.0.0.1:1") + TO_APP,
        APP + TO_APP,
        ["~upstream app: servers"],
        ("/app",),
        (502, 200),
    ),
    "sessions are begun": ("", KEYS.format("ONE"), ["+session"], ("/", ALICE), (200, 200)),
    "a key": (KEYS.format("ONE"), KEYS.format("TWO"), ["~session: keys"], ("/", ALICE), (200, 200)),
    "an access log": ("", "[access_log]\n", ["+access_log"], ("/", ALICE), (200, 200)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_taken_up_and_named(serve, upstream, name):
    before, after, expected, request, (first, second) = CHANGES[name]
    base = PEOPLE + route(upstream, "people")
    before, after = (base + text.replace("UPSTREAM", upstream.url) for text in (before, after))
    gateway = start(serve, before, ONE="0001" * 16, TWO="0002" * 16)
    assert gateway.send(*request).status == first
    assert reload(gateway, after) == expected
    assert gateway.send(*request).status == second
    assert reload(gateway, before) != [], "and back"
    assert gateway.send(*request).status == first


def test_server_settings_are_taken_up(serve, upstream):
    config = PEOPLE + route(upstream, "people")
    gateway = start(serve, config)
    assert gateway.send("/", ALICE | MANY).status == 200
    assert reload(gateway, config, server="max_headers = 50\n") == ["~server: max_headers"]
    assert gateway.send("/", ALICE | MANY).status == 431


def test_a_changed_secret_names_its_key_and_is_never_told(serve, upstream, tmp_path):
    secret = put_secret(tmp_path / "password", "hunter1")
    gateway = start(serve, HUB.format(f"file:{secret}") + route(upstream, "hub"))
    assert gateway.send("/", basic("bob", "hunter1")).status == 200
    put_secret(secret, "hunter2")
    answer = ask(gateway)
    assert changes(written(gateway)) == ["~authenticator hub: settings.password"]
    assert [gateway.send("/", basic("bob", word)).status for word in ("hunter1", "hunter2")] == [401, 200]
    assert "hunter" not in answer.body.decode() + gateway.child.output()


def test_another_certificate_authority_in_the_same_file_is_taken_up(
    serve, fetch_servers, fetcher_component, authority, stranger, tmp_path
):
    server, ca = fetch_servers(authority=authority), tmp_path / "ca.pem"
    ca.write_bytes(stranger.ca.read_bytes())
    gateway = start(serve, fetcher(fetcher_component, server.url, more=f'http_ca = "{ca}"'))
    assert fetch(gateway, server.url).status == 502
    ca.write_bytes(authority.ca.read_bytes())
    assert reload(gateway) == ["~authenticator fetcher: http_ca"]
    assert fetch(gateway, server.url).status == 200


@pytest.mark.parametrize("kind", ["reused", "new"])
def test_secrets_of_headers_follow_their_files_after_a_reload(serve, fetch_servers, fetcher_component, tmp_path, kind):
    server, secret = fetch_servers(), put_secret(tmp_path / "secret", "one")
    headers = f'http_headers = {{ "{server.url}" = {{ Authorization = "Bearer file:{secret}" }} }}\n'
    config = fetcher(fetcher_component, server.url, more=headers)
    gateway = start(serve, config)

    def sent():
        fetch(gateway, f"{server.url}/", cache_control="no-store")
        return server.seen[-1][2]["authorization"]

    assert sent() == "Bearer one"
    if kind == "new":
        changed = config.replace(headers, headers + 'log = "debug"\n')
        assert reload(gateway, changed) == ["~authenticator fetcher: log"]
    else:
        assert reload(gateway, config + whoami("fetcher", path="/more")) == ["+route /more"]
    before = len(written(gateway))
    put_secret(secret, "two")
    eventually(lambda: sent() == "Bearer two", "the new secret is sent")
    assert changes(written(gateway)[before:]) == [], "no reload was needed"


def test_an_access_log_begins_and_ends(serve, upstream):
    config = PEOPLE + route(upstream, "people")
    gateway = start(serve, config)

    def lines():
        answer = gateway.send("/", ALICE)
        written(gateway)
        return [line for line in gateway.logged(request_id=answer.header("x-request-id")) if "bytes" in line]

    assert lines() == []
    assert reload(gateway, config + "[access_log]\n") == ["+access_log"]
    eventually(lines, "a line of each request")
    assert reload(gateway, config) == ["-access_log"]
    assert lines() == []


def test_a_file_that_was_only_touched_changes_nothing(serve, upstream):
    gateway = start(serve, PEOPLE + route(upstream, "people"))
    file = folder(gateway) / "portcullis.toml"
    os.utime(file, (time.time() + 5, time.time() + 5))
    assert ask(gateway).body == b"nothing has changed\n"
    file.write_text("# A comment.\n" + file.read_text())
    assert ask(gateway).body == b"nothing has changed\n"
    assert (changes(written(gateway)), reloads(gateway, "applied")) == ([], 0)
    assert reloads(gateway, "unchanged") >= 2


def test_what_needs_a_restart_is_named_until_it_is_taken_back(serve, upstream):
    config = PEOPLE + route(upstream, "people")
    gateway = start(serve, config + '[plugins]\nmemory = "512MiB"\n')
    memory, admin = "plugins.memory takes effect at the next start", "admin takes effect at the next start"
    elsewhere = ADMIN.replace("127.0.0.1", "127.0.0.2")
    for plugins, more, expected in [
        ('[plugins]\nmemory = "256MiB"\n', {}, [memory]),
        ('[plugins]\nmemory = "256MiB"\n', {"admin": elsewhere}, [admin, memory]),
        ('[plugins]\nmemory = "512MiB"\n', {"admin": elsewhere}, [admin]),
        ('[plugins]\nmemory = "512MiB"\n', {}, []),
    ]:
        configure(gateway, config + plugins, **more)
        for _ in range(2):
            said = ask(gateway).body.decode().splitlines()
            assert [line for line in said if "next start" in line] == expected
        written(gateway)
        warned = [line["key"] for line in gateway.logged(message="a changed key takes effect at the next start")]
        assert warned[len(warned) - len(expected) :] == [line.split()[0] for line in expected]
    assert gateway.send("/", ALICE).status == 200


def test_metrics_tell_how_reloads_ended(serve, upstream):
    config = PEOPLE + route(upstream, "people")
    gateway = start(serve, config)
    names = ["portcullis_config_last_reload_successful", "portcullis_config_last_reload_success_timestamp_seconds"]
    assert gateway.metric(names[0]) == 1
    started = gateway.metric(names[1])
    assert 0 <= time.time() - started < 100
    reload(gateway, config + whoami(path="/more"))
    assert gateway.metric(names[0]) == 1
    applied = gateway.metric(names[1])
    assert started < applied <= time.time()
    assert reloads(gateway, "applied") == 1
    configure(gateway, "mistake")
    ask(gateway)
    assert (gateway.metric(names[0]), gateway.metric(names[1])) == (0, applied)
    assert reloads(gateway, "failed") >= 1


def test_the_command_names_the_changes(serve, upstream):
    """It says so if the gateway has seen the change first, hence several attempts."""
    config = PEOPLE + route(upstream, "people")
    unix = '[admin]\nlisten = "unix:admin.sock"\n'
    gateway = serve(unix + config)
    file = folder(gateway) / "portcullis.toml"

    def names():
        file.write_text(f"[server]\nlisten = \"127.0.0.1:0\"\n{unix}{config}" + whoami(path=f"/{time.monotonic_ns()}"))
        done = command(gateway)
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.split("/")[0] for line in done.stdout.splitlines()]
        assert lines.pop() == "warning: " and "is public, and / is protected" in done.stdout
        return lines in (["+route "], ["+route ", "-route "])

    eventually(names, "the command was the first")
