"""Hot reload of the plugin directory: plugins are dropped in, replaced and taken away while the gateway runs, and leave nothing
behind."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from test_reload_files import MORE, taken_up, told
from test_reload_running import BOTH, replace

from harness.client import ALICE
from harness.config import protected, route
from harness.process import eventually
from harness.reload import changes, folder, reload, reloads, start, text


@pytest.fixture
def plugins(tmp_path):
    directory = tmp_path / "plugins"
    directory.mkdir()
    return directory


def with_plugins(directory, upstream):
    return f'[plugins]\ndirectory = "{directory}"\n' + protected(upstream)


@pytest.mark.parametrize("description", [None, '[limits]\nrate = "1000/s"\n'])
def test_a_plugin_is_dropped_in_changed_and_removed(
    serve, upstream, tmp_path, plugins, scripted_component, prober_component, description
):
    config = with_plugins(plugins, upstream)
    asked = config + route(upstream, "extra", path="/extra")
    grant, say = ("/extra", {"Authorization": "Script grant"}), ("/extra", {"Authorization": "nothing"})
    gateway = start(serve, config)

    def drop(component):
        beside = tmp_path / "extra.new"
        beside.write_bytes(component.read_bytes())
        os.replace(beside, plugins / "extra.wasm")

    drop(scripted_component)
    if description:
        (plugins / "extra.toml").write_text(description)
    # The gateway may have seen the component before its description.
    found = [change for change in reload(gateway) if "limits" not in change]
    assert found == ["+plugin extra"]
    assert reload(gateway, asked) == ["+route /extra"]
    assert (gateway.send(*grant).status, gateway.send(*say).status) == (200, 401)
    drop(prober_component)
    assert reload(gateway) == ["~plugin extra: component"]
    assert (gateway.send(*grant).status, gateway.send(*say).status) == (503, 200)
    if description:
        (plugins / "extra.toml").write_text(description.replace("1000", "2000"))
        assert reload(gateway) == ["~plugin extra: limits.rate"]
    assert reload(gateway, config) == ["-route /extra"]
    (plugins / "extra.toml").unlink(missing_ok=True)
    (plugins / "extra.wasm").unlink()
    assert reload(gateway) == ["-plugin extra"]


def copied(source, target):
    subprocess.run(["cp", source, target], check=True)


def copied_slowly(source, target):
    content = source.read_bytes()
    with open(target, "wb") as file:
        for start in range(0, len(content), len(content) // 20):
            file.write(content[start : start + len(content) // 20])
            file.flush()
            time.sleep(0.1)


def moved(source, target):
    other = target.parent.parent / "other"
    shutil.copy(source, other)
    subprocess.run(["mv", other, target], check=True)


def linked(source, target):
    target.symlink_to(source)


@pytest.mark.parametrize("place", [copied, copied_slowly, moved, linked])
def test_a_plugin_is_taken_up_and_given_up(serve, upstream, plugins, scripted_component, place):
    gateway = start(serve, with_plugins(plugins, upstream))
    place(scripted_component, plugins / "guest.wasm")
    taken_up(gateway, "+plugin guest")
    assert not gateway.logged(level="WARN"), "no half of it was read"
    (plugins / "guest.wasm").unlink()
    taken_up(gateway, "+plugin guest", "-plugin guest")


def test_a_plugin_directory_that_is_removed_is_found_again(serve, upstream, plugins, scripted_component):
    shutil.copy(scripted_component, plugins / "guest.wasm")
    gateway = start(serve, with_plugins(plugins, upstream))
    shutil.rmtree(plugins)
    told(gateway, "plugins")
    assert gateway.send("/", ALICE).status == 200
    plugins.mkdir()
    shutil.copy(scripted_component, plugins / "another.wasm")
    eventually(lambda: "+plugin another" in changes(gateway.log()), "it is followed again")
    shutil.copy(scripted_component, plugins / "third.wasm")
    eventually(lambda: "+plugin third" in changes(gateway.log()), "it is followed from now on")


def test_files_of_editors_change_nothing(serve, upstream, plugins):
    gateway = start(serve, with_plugins(plugins, upstream))
    for name in (".portcullis.toml.swp", "portcullis.toml~", "#portcullis.toml#", "4913", "other.toml"):
        (folder(gateway) / name).write_text("[[[")
    for name in (".guest.wasm.swp", "guest.wasm~", "guest.wasm.part", "README"):
        (plugins / name).write_text("no component")
    (folder(gateway) / "portcullis.toml").write_text(text(with_plugins(plugins, upstream) + MORE))
    taken_up(gateway, "+route /more")
    assert reloads(gateway, "failed") == 0
    assert not gateway.logged(level="WARN")


def held(gateway):
    """How many files the process has open, how many threads it has, and of how many components it maps the machine code."""
    process = Path(f"/proc/{gateway.child.process.pid}")
    counts = {part: len(list((process / part).iterdir())) for part in ("fd", "task")}
    # One mapping or several that touch each other are told apart by chance, so files count and not lines.
    code = {line.split()[4] for line in (process / "maps").read_text().splitlines() if "memfd:portcullis-code" in line}
    return counts | {"code": len(code)}


def test_components_that_were_replaced_leave_nothing_behind(
    serve, upstream, plugins, scripted_component, prober_component
):
    guest = plugins / "guest.wasm"
    (plugins / "guest.toml").write_text('grants.headers = ["x-do", "authorization"]\n')
    replace(guest, scripted_component)
    gateway = start(serve, with_plugins(plugins, upstream) + route(upstream, "guest", path="/guest"))

    def replace_each(times):
        for component in (prober_component, scripted_component) * times:
            replace(guest, component)
            assert reload(gateway) == ["~plugin guest: component"]
            assert gateway.send("/guest", BOTH).status == 200

    replace_each(3)
    before = held(gateway)
    assert before["code"] > 0
    # Chance decides how many threads Tokio has started for work that blocks, but it doesn't need one for each reload.
    most = before | {"task": before["task"] + 6}
    replace_each(12)
    eventually(
        lambda: all(count <= most[part] for part, count in held(gateway).items()),
        f"no more than {most} is held after 24 more reloads",
        seconds=20,
    )
