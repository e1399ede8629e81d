"""Hot reload of what can't be used: the configuration of before goes on, and the log says why until it is mended."""

import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_hostile_loading import BAD, TEXTS, broken

from harness import raw_plugins
from harness.client import ALICE, send
from harness.config import PEOPLE, drop, route, whoami
from harness.gateway import ADMIN, run
from harness.hostile import authenticator
from harness.process import Unreachable, eventually
from harness.reload import (
    DONE,
    FAILED,
    RELOAD,
    ask,
    changes,
    command,
    configure,
    folder,
    hang_up,
    put,
    refused,
    reload,
    reloads,
    start,
    text,
    written,
)

UNIX = '[admin]\nlisten = "unix:admin.sock"\n'
ASKED = whoami("hub", path="/hub")
HUB = '[authenticators.hub]\nplugin = "{}"\n{}\n' + ASKED

MISTAKES = {
    # What is added to the configuration, and what is said of it.
    "no TOML": ("[[[", "not TOML"),
    "a key that is unknown": ("[server.nonsense]\n", "server.nonsense"),
    "a plugin that is missing": (HUB.format("missing.wasm", ""), "missing.wasm"),
    "a plugin that is broken": (HUB.format("broken.wasm", ""), "broken.wasm"),
    "another plugin than the pinned one": (HUB.format("simple", f'sha256 = "{"0" * 64}"'), "sha256 is set to 0000"),
    "a secret that is missing": (HUB.format("simple", 'settings.password = "file:missing"'), "missing"),
    "a secret that others may read": ('[session]\nkeys = ["file:readable"]\n', "chmod"),
    "settings that the plugin refuses": (HUB.format("simple", "settings.nonsense = 1"), "nonsense"),
    "a route to nothing": ('[[routes]]\npath = "/y"\npublic = true\nupstream = "nowhere"\n', "nowhere"),
    "a certificate that is missing": ('[server.tls]\ncert = "cert.pem"\nkey = "key.pem"\n', "cert.pem"),
    "an authority that is missing": (HUB.format("simple", 'http_ca = "ca.pem"'), "ca.pem"),
}


@pytest.fixture(scope="module")
def shared(serve_module, shared_upstream):
    """A gateway to which the mistakes are shown one after the other."""
    gateway = start(serve_module, PEOPLE + route(shared_upstream, "people"))
    (folder(gateway) / "broken.wasm").write_text("no component")
    readable = folder(gateway) / "readable"
    readable.write_text("0001" * 16)
    readable.chmod(0o644)
    return gateway


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_everywhere_and_changes_nothing(shared, upstream, name):
    config = PEOPLE + route(upstream, "people")
    more, expected = MISTAKES[name]
    before, failures = len(written(shared)), reloads(shared, "failed")
    configure(shared, config + whoami(path="/more") + more)
    said = refused(shared)
    assert expected in said
    assert "portcullis.toml" in said, "with its place"
    lines = written(shared)[before:]
    errors = [line["message"] for line in lines if line["level"] == "ERROR"]
    assert errors == [*said.splitlines(), FAILED] * (len(errors) // (len(said.splitlines()) + 1))
    assert changes(lines) == []
    assert reloads(shared, "failed") > failures
    assert shared.metric("portcullis_config_last_reload_successful") == 0
    ready = send(shared.admin_url, "/readyz")
    [problem] = ready.json()["problems"]
    assert (ready.status, ready.json()["status"], problem["part"]) == (200, "ready", "configuration")
    assert "the previous configuration is still in use" in problem["problem"] and said in problem["problem"]
    assert [shared.send("/", ALICE).status, shared.send("/more").status] == [200, 401], "by the old configuration"

    assert reload(shared, config) == [], "mended"
    assert send(shared.admin_url, "/readyz").json() == {"status": "ready", "problems": []}
    assert shared.metric("portcullis_config_last_reload_successful") == 1


def test_mistakes_are_told_all_at_once_by_the_command(serve, upstream):
    gateway = serve(UNIX + PEOPLE + route(upstream, "people"))
    mistakes = "[server.nonsense]\n" + HUB.format("missing.wasm", "")
    put(folder(gateway) / "portcullis.toml", text(PEOPLE + mistakes, admin=UNIX))
    done = command(gateway)
    assert (done.returncode, done.stdout) == (1, "")
    assert all(said in done.stderr for said in ("server.nonsense", "missing.wasm", "still in use"))
    assert gateway.send("/", ALICE).status == 200


def test_a_broken_plugin_that_no_route_asks_keeps_nothing_else_from_being_applied(
    serve, upstream, tmp_path, scripted_component
):
    plugins = drop(tmp_path, "good", scripted_component)
    config = plugins + PEOPLE + route(upstream, "people")
    gateway = start(serve, config)
    (tmp_path / "stray.wasm").write_text("no component")
    assert reload(gateway, config + whoami(path="/more")) == ["+route /more"]
    [warning] = [line for line in gateway.log() if "nothing asks it" in line["message"]]
    assert (warning["level"], warning["authenticator"]) == ("WARN", "stray")
    assert reload(gateway, config) == ["-route /more"]
    assert len([line for line in gateway.log() if "nothing asks it" in line["message"]]) == 1, "once"
    assert "stray.wasm" in refused(gateway, config + whoami("stray", path="/stray"))
    (tmp_path / "stray.wasm").write_bytes(scripted_component.read_bytes())
    assert reload(gateway) == ["+plugin stray", "+route /stray"]


@pytest.mark.parametrize("name", TEXTS)
def test_a_broken_component_over_a_working_one_leaves_it_in_service(serve, upstream, tmp_path, scripted_component, name):
    expected, _ = TEXTS[name]
    gateway = start(serve, drop(tmp_path, "guest", scripted_component) + route(upstream, "guest"))
    grants = {"Authorization": "Script grant"}
    assert gateway.send("/", grants).status == 200
    before = len(written(gateway))
    replaced = tmp_path / "guest.new"
    replaced.write_bytes(broken(name))
    replaced.rename(tmp_path / "guest.wasm")
    said = refused(gateway)
    assert "guest.wasm" in said and re.search("(?i)" + expected, said), said
    lines = written(gateway)[before:]
    assert {line["message"] for line in lines if line["level"] == "ERROR"} == {*said.splitlines(), FAILED}
    assert changes(lines) == []
    assert gateway.send("/", grants).status == 200, "by the one of before"
    [problem] = send(gateway.admin_url, "/readyz").json()["problems"]
    assert said in problem["problem"]
    drop(tmp_path, "guest", scripted_component)
    assert reload(gateway) == [], "it is what it was"
    assert gateway.send("/", grants).status == 200


HOSTILE = {name: row for name, row in BAD.items() if row[1] is not None}


@pytest.fixture(scope="module")
def victim(serve_module, shared_upstream):
    return start(serve_module, PEOPLE + route(shared_upstream, "people"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_component_holds_up_no_request(victim, upstream, name):
    """It is loaded while requests are served. Each is answered, and the component is refused as at the start."""
    expected, parts = HOSTILE[name]
    component = raw_plugins.component(**parts)
    config = PEOPLE + route(upstream, "people")
    evil = authenticator("evil", component, "", 'deadline = "1s"\nmemory = "16MiB"')
    configure(victim, config + evil + whoami("evil", path="/evil"))
    statuses, done = set(), threading.Event()

    def serve_others():
        while not done.is_set():
            statuses.add(victim.send("/", ALICE).status)

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(serve_others)
        said = refused(victim)
        done.set()
        others.result()
    assert statuses == {200}
    assert re.search(expected, said, re.DOTALL), said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), "nothing that a terminal acts upon"
    assert reload(victim, config) == []


def test_a_bad_reload_does_not_spoil_the_stop(serve, upstream):
    gateway = start(serve, PEOPLE + route(upstream, "people"))
    refused(gateway, "[[[")
    gateway.stop()


# The command and the admin listener


COMMAND = {
    # The section, and what the command says without a gateway.
    "no admin listener": ("", "no [admin] listener"),
    "a socket of systemd": ('[admin]\nlisten = "systemd:admin"\n', "doesn't say the address"),
    "any port": (ADMIN, "doesn't say the address"),
    "a mistake in the file": ("[admin\n", "portcullis.toml:3"),
    "nobody there": (UNIX, "can't be asked at unix:"),
}


@pytest.mark.parametrize("name", COMMAND)
def test_the_command_says_why_it_finds_no_gateway(tmp_path, name):
    admin, expected = COMMAND[name]
    done = run("reload", folder=tmp_path, config=text(whoami(), admin=admin))
    assert (done.returncode, done.stdout) == (1, "")
    assert expected in done.stderr


def test_the_command_says_when_a_port_refuses(tmp_path):
    closed = Unreachable()
    done = run("reload", folder=tmp_path, config=text(whoami(), admin=f'[admin]\nlisten = "{closed.address}"\n'))
    closed.stop()
    assert (done.returncode, closed.address in done.stderr) == (1, True)


def test_only_a_request_that_no_page_can_send_reloads(serve, upstream):
    gateway = start(serve, PEOPLE + route(upstream, "people"))
    for method, headers, expected in [
        ("POST", {}, 403),
        ("POST", {"Origin": "https://evil.test", "Content-Type": "text/plain"}, 403),
        ("POST", RELOAD | {"Host": "evil.test"}, 403),
        ("GET", RELOAD, 405),
        ("HEAD", RELOAD, 405),
        ("PUT", RELOAD, 405),
        ("OPTIONS", {"Origin": "https://evil.test", "Access-Control-Request-Headers": "x-portcullis-reload"}, 405),
    ]:
        answer = send(gateway.admin_url, "/reload", headers, method)
        assert answer.status == expected, (method, headers)
        assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    assert all(reloads(gateway, outcome) == 0 for outcome in ("applied", "unchanged", "failed"))
    assert gateway.send("/reload", RELOAD, "POST", b"").status == 401, "it isn't on the public listener"


def test_everyone_who_asks_at_once_is_answered(serve, upstream):
    gateway = serve(UNIX + PEOPLE + route(upstream, "people"))
    with ThreadPoolExecutor(16) as pool:
        done = [each.result() for each in [pool.submit(command, gateway) for _ in range(16)]]
    assert {result.returncode for result in done} == {0}, [result.stderr for result in done if result.returncode]
    assert {result.stdout for result in done} == {"nothing has changed\n"}


SLOW = 'deadline = "2s"\nmemory = "16MiB"'


def late():
    """An authenticator that keeps a reload busy until its deadline."""
    return authenticator("late", raw_plugins.component(configure=raw_plugins.LOOP), "", SLOW) + whoami("late", path="/late")


def test_more_than_can_wait_are_told_so(serve, upstream):
    """Those that wait get the next reload, all of them the same."""
    gateway = start(serve, PEOPLE + route(upstream, "people"))
    configure(gateway, PEOPLE + route(upstream, "people") + late())
    with ThreadPoolExecutor(40) as pool:
        answers = [each.result() for each in [pool.submit(ask, gateway) for _ in range(40)]]
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {422, 503}
    assert statuses.count(422) >= 16
    assert reloads(gateway, "failed") <= 4
    assert gateway.send("/", ALICE).status == 200


def test_a_client_that_hangs_up_does_not_stop_its_reload(serve, upstream):
    config = PEOPLE + route(upstream, "people")
    gateway = start(serve, config)
    configure(gateway, config + late())
    address = gateway.admin_url.removeprefix("http://").split(":")
    with socket.create_connection(address) as wire:
        wire.sendall(b"POST /reload HTTP/1.1\r\nHost: x\r\nX-Portcullis-Reload: 1\r\n\r\n")
    eventually(lambda: reloads(gateway, "failed"), "it went on without its client")
    assert reload(gateway, config + whoami(path="/more")) == ["+route /more"]


def test_signals_that_come_close_together_are_one_reload_or_few(serve, upstream):
    gateway = start(serve, PEOPLE + route(upstream, "people"))
    configure(gateway, PEOPLE + route(upstream, "people") + whoami(path="/more"))
    for _ in range(100):
        hang_up(gateway)
    eventually(lambda: gateway.logged(message=DONE), "the reload")
    assert changes(written(gateway)) == ["+route /more"]
    assert gateway.send("/more").status == 200
