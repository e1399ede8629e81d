"""Hot reload by files: the gateway sees that they have changed, however they were written, and never reads a half."""

import os
import shutil
import subprocess
import time

import pytest
from test_outbound import fetch, fetcher
from test_reload import HUB
from test_tls import Session, tls

from harness.client import ALICE, basic
from harness.config import protected, route, whoami
from harness.process import eventually
from harness.reload import changes, folder, put, put_secret, reloads, start, text, written

MORE = whoami(path="/more")


def taken_up(gateway, *expected):
    """Waits until these changes are in the log, and nothing else is."""
    eventually(lambda: set(expected) <= set(changes(gateway.log())), f"{expected} in {changes(gateway.log())}")
    assert changes(written(gateway)) == list(expected)


def told(gateway, words):
    """Waits until the log has an error with these words."""
    return eventually(lambda: [line for line in gateway.logged(level="ERROR") if words in line["message"]], words)


def write(path, content):
    path.write_text(content)


def append_at_the_end(path, content):
    """Empties the file, and fills it in two steps while it is open."""
    with open(path, "w") as file:
        file.write(content[:50])
        file.flush()
        time.sleep(0.3)
        file.write(content[50:])


def like_vim(path, content):
    backup = path.with_name(path.name + "~")
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    path.rename(backup)
    path.write_text(content)
    backup.unlink()


def like_cp(path, content):
    other = path.with_name("other")
    other.write_text(content)
    subprocess.run(["cp", other, path], check=True)


def like_mv(path, content):
    other = path.with_name("other")
    other.write_text(content)
    subprocess.run(["mv", other, path], check=True)


def with_an_old_time(path, content):
    """As `cp -p` and `rsync -t` leave it."""
    path.write_text(content)
    os.utime(path, (1_000_000_000, 1_000_000_000))


WRITERS = [write, append_at_the_end, put, like_vim, like_cp, like_mv, with_an_old_time]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_configuration_is_taken_up_however_it_is_written(serve, upstream, writer):
    gateway = start(serve, protected(upstream))
    writer(folder(gateway) / "portcullis.toml", text(protected(upstream) + MORE))
    taken_up(gateway, "+route /more")
    [line] = gateway.logged(message="the configuration was reloaded")
    assert line["trigger"] == "files changed"
    assert (reloads(gateway, "applied"), reloads(gateway, "failed")) == (1, 0)
    assert gateway.send("/more").status == 200
    writer(folder(gateway) / "portcullis.toml", text(protected(upstream)))
    taken_up(gateway, "+route /more", "-route /more")


def test_a_configuration_that_is_away_for_a_while_is_taken_up(serve, upstream):
    gateway = start(serve, protected(upstream))
    file = folder(gateway) / "portcullis.toml"
    file.unlink()
    told(gateway, "portcullis.toml")
    file.write_text(text(protected(upstream) + MORE))
    taken_up(gateway, "+route /more")
    assert gateway.send("/", ALICE).status == 200


def test_a_configuration_that_is_named_relatively_is_followed(serve, upstream, tmp_path):
    (tmp_path / "gateway-0").mkdir()
    put(tmp_path / "gateway-0" / "own.toml", text(protected(upstream)))
    gateway = start(serve, arguments=["--config", "own.toml"])
    put(folder(gateway) / "own.toml", text(protected(upstream) + MORE))
    taken_up(gateway, "+route /more")


def test_a_half_is_never_read(serve, upstream):
    """Every beginning of this file that ends with a line is a valid configuration."""
    gateway = start(serve, protected(upstream))
    routes = "".join(f'[[routes]]\npath = "/{n}"\npublic = true\nupstream = "portcullis:whoami"\n' for n in range(20))
    content = text(protected(upstream) + routes)
    with open(folder(gateway) / "portcullis.toml", "w", buffering=1) as file:
        for line in content.splitlines(keepends=True):
            file.write(line)
            file.flush()
            time.sleep(0.04)
        assert changes(written(gateway)) == []
    taken_up(gateway, *sorted(f"+route /{n}" for n in range(20)))
    assert (reloads(gateway, "applied"), reloads(gateway, "failed")) == (1, 0)


def test_a_burst_of_writes_is_few_reloads(serve, upstream):
    gateway = start(serve, protected(upstream))
    for turn in range(50):
        (folder(gateway) / "portcullis.toml").write_text(text(protected(upstream) + whoami(path=f"/{turn}")))
    eventually(lambda: gateway.send("/49").status == 200, "the last one is used")
    assert sum(reloads(gateway, outcome) for outcome in ("applied", "unchanged", "failed")) <= 20


# Symbolic links


def swap(link, target):
    """Makes a link lead elsewhere, at once."""
    beside = link.with_name(link.name + ".new")
    beside.symlink_to(target)
    os.replace(beside, link)


def test_a_config_map_is_taken_up(serve, upstream, tmp_path):
    """As Kubernetes updates it: a folder per version, and one link to the current one that is swapped."""
    mount, people = tmp_path / "mount", HUB.replace("hub", "people") + route(upstream, "people")
    for version, more in (("..one", ""), ("..two", MORE)):
        (mount / version).mkdir(parents=True)
        (mount / version / "portcullis.toml").write_text(text(people.replace("{}", f"file:{mount}/password") + more))
        put_secret(mount / version / "password", version)
    swap(mount / "..data", "..one")
    for name in ("portcullis.toml", "password"):
        (mount / name).symlink_to(f"..data/{name}")
    gateway = start(serve, arguments=["--config", mount / "portcullis.toml"])
    assert gateway.send("/", basic("alice", "..one")).status == 200
    swap(mount / "..data", "..two")
    shutil.rmtree(mount / "..one")
    taken_up(gateway, "~authenticator people: settings.password", "+route /more")
    assert [gateway.send("/", basic("alice", word)).status for word in ("..one", "..two")] == [401, 200]
    assert reloads(gateway, "applied") == 1


def test_a_link_to_another_folder_is_followed(serve, upstream, tmp_path):
    for version, more in (("one", ""), ("two", MORE)):
        (tmp_path / "releases" / version).mkdir(parents=True)
        (tmp_path / "releases" / version / "portcullis.toml").write_text(text(protected(upstream) + more))
    swap(tmp_path / "current", "releases/one")
    gateway = start(serve, arguments=["--config", tmp_path / "current" / "portcullis.toml"])
    swap(tmp_path / "current", "releases/two")
    taken_up(gateway, "+route /more")
    (tmp_path / "releases" / "two" / "portcullis.toml").write_text(text(protected(upstream)))
    taken_up(gateway, "+route /more", "-route /more")


# Files that the configuration names


def test_a_secret_and_an_authority_are_taken_up(serve, fetch_servers, fetcher_component, authority, stranger, tmp_path):
    secret, ca = put_secret(tmp_path / "secret", "hunter1"), tmp_path / "ca.pem"
    ca.write_bytes(stranger.ca.read_bytes())
    server = fetch_servers(authority=authority)
    hub = HUB.format(f"file:{secret}") + whoami("hub", path="/hub")
    gateway = start(serve, hub + fetcher(fetcher_component, server.url, more=f'http_ca = "{ca}"'))
    secret.write_text("hunter2\n")
    taken_up(gateway, "~authenticator hub: settings.password")
    assert gateway.send("/hub", basic("bob", "hunter2")).status == 200
    ca.write_bytes(authority.ca.read_bytes())
    taken_up(gateway, "~authenticator hub: settings.password", "~authenticator fetcher: http_ca")
    assert fetch(gateway, server.url).status == 200
    assert "hunter" not in gateway.child.output()


def test_a_mistake_is_mended_by_the_next_change(serve, upstream, tmp_path):
    secret = put_secret(tmp_path / "secret", "0001" * 16)
    gateway = start(serve, protected(upstream))
    file = folder(gateway) / "portcullis.toml"
    file.write_text("[[[")
    told(gateway, "not TOML")
    secret.chmod(0o644)
    file.write_text(text(f'[session]\nkeys = ["file:{secret}"]\n' + protected(upstream)))
    told(gateway, "chmod")
    secret.chmod(0o600)
    taken_up(gateway, "+session")


def test_what_comes_later_is_taken_up_when_it_is_there(serve, upstream, authority, scripted_component, tmp_path):
    cert, key, plugin = tmp_path / "later.pem", tmp_path / "later.key", tmp_path / "later" / "guest.wasm"
    gateway = start(serve, protected(upstream))
    guest = f'[authenticators.guest]\nplugin = "{plugin}"\n' + whoami("guest", path="/guest")
    put(folder(gateway) / "portcullis.toml", text(protected(upstream) + guest, tls((cert, key))))
    told(gateway, "later.pem")
    told(gateway, "guest.wasm")
    made, private = authority.issue("made")
    put_secret(key, private.read_text())
    shutil.copy(made, cert)
    assert gateway.send("/", ALICE).status == 200
    plugin.parent.mkdir()
    shutil.copy(scripted_component, plugin)
    eventually(lambda: changes(gateway.log()), "everything is there")
    eventually(lambda: Session(gateway, authority).get(ALICE)[0] == 200, "over TLS")
