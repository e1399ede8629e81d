"""Files in the plugin directory that are no authenticators of this contract: each is called what it is.

Such a file keeps the gateway from starting if a route asks it, because it is unknown what that route should demand.
"""

import pytest

from harness.client import ALICE
from harness.config import protected, route
from harness.gateway import LISTEN_ANYWHERE, run

CORE_MODULE = b"\0asm\1\0\0\0"
EMPTY_COMPONENT = b"\0asm\x0d\0\1\0"


def named(name):
    return b"\0" + bytes([len(name)]) + name


def section(number, content):
    return bytes([number, len(content)]) + content


def component_that_imports(name):
    """The smallest component that imports an (empty) instance, and exports it as an authenticator."""
    instance_type = section(7, b"\1\x42\0")
    imported = section(10, b"\1" + named(name) + b"\5\0")
    exported = section(11, b"\1" + named(b"portcullis:auth/authenticator@0.2.0") + b"\5\0\0")
    return EMPTY_COMPONENT + instance_type + imported + exported


@pytest.fixture
def drop(tmp_path):
    """Puts bytes into the plugin directory as `guest.wasm`, and says what `check` says."""

    def check(content, description=""):
        directory = tmp_path / "plugins"
        directory.mkdir(exist_ok=True)
        (directory / "guest.wasm").write_bytes(content)
        (directory / "guest.toml").write_text(description)
        config = LISTEN_ANYWHERE + '[plugins]\ndirectory = "plugins"\n[[routes]]\npath = "/"\n'
        config += 'authenticators = ["guest"]\nupstream = "http://127.0.0.1:9"\n'
        return run("check", folder=tmp_path, config=config)

    return check


def complaint(result):
    assert result.returncode == 1
    assert "guest." in result.stderr
    return result.stderr


NO_COMPONENTS = {
    "nothing": (b"", "empty"),
    "text": (b"#!/bin/sh\necho hello\n", "no WebAssembly"),
    "another program": (b"\x7fELF" + bytes(60), "no WebAssembly"),
    "a core module": (CORE_MODULE, "core module"),
    "a component that exports nothing": (EMPTY_COMPONENT, "portcullis:auth/authenticator@0.2.0"),
}


@pytest.mark.parametrize("case", NO_COMPONENTS)
def test_a_file_is_called_what_it_is(drop, case):
    content, expected = NO_COMPONENTS[case]
    assert expected in complaint(drop(content))


def test_a_good_component_is_good(drop, api_key_component):
    result = drop(api_key_component.read_bytes(), '[settings]\nkey = "k"\n')
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_component_that_was_cut_off_is_called_so(drop, api_key_component, share):
    content = api_key_component.read_bytes()
    assert "truncated" in complaint(drop(content[: int(len(content) * share)]))


def test_a_component_of_another_version_of_the_contract_is_called_so(drop, api_key_component):
    """The version stands in the names of imports and exports; one of the same length keeps the file whole."""
    ours, other = b"portcullis:auth/authenticator@0.2.0", b"portcullis:auth/authenticator@0.9.0"
    text = complaint(drop(api_key_component.read_bytes().replace(ours, other)))
    assert "0.9.0" in text
    assert "0.2.0" in text


def test_a_component_whose_digest_is_another_is_refused(drop, api_key_component):
    result = drop(api_key_component.read_bytes(), f'sha256 = "{"0" * 64}"\n[settings]\nkey = "k"\n')
    assert "sha256" in complaint(result)


def test_settings_that_the_plugin_refuses_are_named_with_their_line(drop, api_key_component):
    result = drop(api_key_component.read_bytes(), "[settings]\nkey = 'k'\nkye = 'k'\n")
    text = complaint(result)
    assert "guest.toml:3" in text
    assert '"key"' in text


@pytest.mark.parametrize("wanted", [b"wasi:keyvalue/store@0.2.0", b"wasi:config/store@0.2.0", b"vendor:x/y@1.0.0"])
def test_an_import_that_no_plugin_is_given_is_named(drop, wanted):
    assert wanted.decode() in complaint(drop(component_that_imports(wanted)))


@pytest.mark.parametrize("case", ["text", "a component that exports nothing", "settings"])
def test_a_broken_file_that_no_route_asks_keeps_nothing_else_from_working(
    serve, upstream, tmp_path, api_key_component, case
):
    folder = tmp_path / "plugins"
    folder.mkdir()
    if case == "settings":
        (folder / "stray.wasm").write_bytes(api_key_component.read_bytes())
        expected = 'the key "key" is missing'
    else:
        content, expected = NO_COMPONENTS[case]
        (folder / "stray.wasm").write_bytes(content)
    config = f'[plugins]\ndirectory = "{folder}"\n' + protected(upstream)

    gateway = serve(config)
    assert gateway.send("/", ALICE).status == 200
    [line] = gateway.logged(authenticator="stray", level="WARN")
    assert expected in line["message"] and "stray." in line["message"]
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + config)
    assert checked.returncode == 0
    assert expected in checked.stdout
    explained = run("explain", "GET", "http://gateway.test/", folder=tmp_path, config=config)
    assert (explained.returncode, "stray" in explained.stdout) == (0, False), explained.stderr

    asked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + config + route(upstream, "stray", path="/stray"))
    assert asked.returncode == 1
    assert expected in asked.stderr
