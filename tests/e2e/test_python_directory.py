"""Plugin directories in Python: chains take up new versions while they decide, and what is wrong with one changes nothing."""

import json
import logging
import os
import re
import shutil
import threading

import pytest

from harness import minisign, python_package
from harness.gateway import run
from harness.process import eventually

portcullis = python_package.load()
from portcullis import Authenticator, Chain, ConfigurationError, LoadError, PluginDirectory, Request  # noqa: E402


def description(key):
    return f"[settings]\nkey = '{key}'\n[grants]\nheaders = ['x-api-key']\n"


def put(path, content):
    """Replaces a file at once."""
    beside = path.parent.parent / "new"
    beside.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.replace(beside, path)


@pytest.fixture
def folder(tmp_path, api_key_component):
    """A directory with the plugin `team`, whose key is `one`."""
    directory = tmp_path / "plugins"
    directory.mkdir()
    shutil.copy(api_key_component, directory / "team.wasm")
    put(directory / "team.toml", description("one"))
    return directory


def status(chain, key):
    decision = chain.decide_blocking(Request("GET", "/", headers={"X-Api-Key": key}))
    return decision.refusal.status if decision.refusal else 200


def test_a_chain_takes_up_a_new_version(folder, caplog, api_key_component):
    directory = PluginDirectory(folder)
    team = directory["team"]
    chain = Chain(team)
    assert (team.name, repr(team), directory.authenticators) == ("team", '<Authenticator "team">', ["team"])
    assert (status(chain, "one"), status(chain, "two")) == (200, 401)
    with caplog.at_level(logging.INFO, logger="portcullis"):
        put(folder / "team.toml", description("two"))
        eventually(lambda: status(chain, "two") == 200, "the new key")
        assert status(chain, "one") == 401, "the old key is gone at once"
        eventually(lambda: "~plugin team: settings.key" in caplog.text, "the change in the log")
    assert "one" not in caplog.text and "two" not in caplog.text
    shutil.copy(api_key_component, folder / "other.wasm")
    put(folder / "other.toml", description("three"))
    eventually(lambda: directory.authenticators == ["other", "team"], "the new plugin")
    assert status(Chain(directory["other"]), "three") == 200


WRONG = [
    ("team.toml", description("two").replace("key", "kee", 1), 'team.toml:2: settings.kee: unknown key; did you mean "key"?'),
    ("team.toml", description("two").replace("]", "", 1), "team.toml:1: "),
    ("team.wasm", b"no component", "team.wasm: "),
    ("other.wasm", b"no component", "other.wasm: "),
    ("team.wasm", None, 'has no authenticator "team" any more, which is asked about requests'),
]


@pytest.mark.parametrize("file, content, told", WRONG, ids=[told for _, _, told in WRONG])
def test_what_is_wrong_is_logged_and_changes_nothing(folder, caplog, file, content, told):
    directory = PluginDirectory(folder)
    chain = Chain(directory["team"])
    with caplog.at_level(logging.ERROR, logger="portcullis"):
        if content is None:
            (folder / "team.toml").unlink()
            (folder / file).unlink()
        else:
            put(folder / file, content)
        eventually(lambda: "so the previous ones are still in use" in caplog.text, "the error")
    assert any(told in record.message and record.levelname == "ERROR" for record in caplog.records), caplog.text
    assert {record.name for record in caplog.records} == {"portcullis.python.followed"}
    assert status(chain, "one") == 200


def test_requests_are_decided_while_versions_change(folder):
    """None of them fails, whether its own plugin changes or another."""
    for key in ("left", "right"):
        shutil.copy(folder / "team.wasm", folder / f"{key}.wasm")
        put(folder / f"{key}.toml", description(key))
    directory = PluginDirectory(folder)
    chains = {key: Chain(directory[key]) for key in ("left", "right")}
    team = Chain(directory["team"])
    seen, ended = [], threading.Event()

    def ask():
        while not ended.is_set():
            seen.append(tuple(status(chain, key) for key, chain in chains.items()))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            put(folder / "right.toml", description("right") + f"[limits]\nconcurrency = {number + 10}\n")
            put(folder / "team.toml", description(f"number {number}"))
            eventually(lambda: status(team, f"number {number}") == 200, "the next version", seconds=60)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert set(seen) == {(200, 200)} and len(seen) > 3


def test_mistakes_at_the_start_are_told_with_file_and_line(folder, tmp_path):
    put(folder / "team.toml", description("one").replace("headers", "header"))
    put(folder / "no_plugin.toml", "")
    with pytest.raises(ConfigurationError) as refused:
        PluginDirectory(folder)
    assert [re.sub(r"^.*/", "", mistake) for mistake in refused.value.mistakes] == [
        "no_plugin.wasm",
        'team.toml:4: grants.header: unknown key; did you mean "headers"?',
    ]
    assert str(refused.value) == "\n".join(refused.value.mistakes)
    with pytest.raises(ConfigurationError, match="nowhere: "):
        PluginDirectory(tmp_path / "nowhere")
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="is writable for every user"):
        PluginDirectory(folder)


def test_a_name_that_nobody_has_is_told_with_the_nearest(folder):
    with pytest.raises(KeyError, match='tema: unknown plugin; did you mean "team"'):
        PluginDirectory(folder)["tema"]


def test_plugins_may_have_to_be_signed(folder, tmp_path):
    vendor = minisign.Key(tmp_path)
    directory = PluginDirectory(folder, trust=[vendor.text])
    chain = Chain(directory["team"])
    assert status(chain, "one") == 503
    [warning] = directory.warnings
    assert "its signature" in warning and directory["team"].warnings == [warning]
    vendor.sign(folder / "team.wasm")
    eventually(lambda: status(chain, "one") == 200, "the signed plugin")
    assert directory.warnings == []
    for trust, why in (([], "PluginDirectory.trust: is empty"), (["x"], r"PluginDirectory.trust\[0\]: "), ("x", "PluginDirectory.trust: ")):
        with pytest.raises(ConfigurationError, match="^" + why):
            PluginDirectory(folder, trust=trust)


SELF_TEST = [{"name": "the guest", "request": {"headers": {"X-Api-Key": "one"}}, "expect": {"user": "api"}}]


def with_self_test(component, tmp_path):
    """The component with a self-test, by which the key is `one`."""
    (tmp_path / "manifest.json").write_text(json.dumps({"name": "team", "self_test": SELF_TEST}))
    tested = tmp_path / "tested.wasm"
    shutil.copy(component, tested)
    done = run("plugin", "manifest", tested, tmp_path / "manifest.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return tested


def test_a_component_is_asked_about_its_own_self_test(folder, tmp_path, api_key_component):
    tested = with_self_test(api_key_component, tmp_path)
    keys = {"grants": {"headers": ["x-api-key"]}}
    assert status(Chain(Authenticator("team", tested, settings={"key": "one"}, **keys)), "one") == 200
    with pytest.raises(LoadError, match='tested.wasm: its self-test "the guest" fails: '):
        Authenticator("team", tested, settings={"key": "two"}, **keys)


def test_a_version_that_fails_its_self_test_is_not_taken_up(folder, tmp_path, caplog, api_key_component):
    put(folder / "team.wasm", with_self_test(api_key_component, tmp_path).read_bytes())
    chain = Chain(PluginDirectory(folder)["team"])
    assert status(chain, "one") == 200
    with caplog.at_level(logging.ERROR, logger="portcullis"):
        put(folder / "team.toml", description("two"))
        eventually(lambda: 'its self-test "the guest" fails' in caplog.text, "the failed self-test")
    assert (status(chain, "one"), status(chain, "two")) == (200, 401)


def test_a_directory_that_nobody_has_any_more_is_not_followed(folder, caplog):
    chain = Chain(PluginDirectory(folder)["team"])
    put(folder / "team.toml", description("two"))
    eventually(lambda: status(chain, "two") == 200, "the new key")
    del chain
    other = PluginDirectory(folder)
    with caplog.at_level(logging.INFO, logger="portcullis"):
        put(folder / "team.toml", description("three"))
        chain = Chain(other["team"])
        eventually(lambda: status(chain, "three") == 200, "the new key")
        eventually(lambda: "were reloaded" in caplog.text, "the log")
    assert caplog.text.count("were reloaded") == 1, caplog.text
