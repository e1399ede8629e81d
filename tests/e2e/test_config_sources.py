"""Where a configuration comes from: the file, the files that it includes, variables, and defaults; and what is told of that."""

import json
import re
import textwrap

import pytest
from test_reload_files import taken_up, told

from harness.client import ALICE, basic
from harness.config import PEOPLE, SESSION, drop, whoami
from harness.gateway import LISTEN_ANYWHERE, run, write
from harness.paths import ROOT
from harness.process import eventually
from harness.reload import folder, put, put_secret, refused, reload, start

INCLUDE = 'include = ["conf.d/*.toml"]\n'
PAGE = (ROOT / "docs/configuration.md").read_text()
KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


def put_all(folder, **files):
    (folder / "conf.d").mkdir(exist_ok=True)
    for name, content in files.items():
        put(folder / "conf.d" / f"{name}.toml", content)


def check(folder, config, **environment):
    return run("check", folder=folder, config=config, **environment)


def shown(folder, config=None, *arguments, **environment):
    """What `config show` prints: each key with its value and its source."""
    result = run("config", "show", "--json", *arguments, folder=folder, config=config, **environment)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    entries = json.loads(result.stdout)
    found = {entry["key"]: (entry["value"], entry["source"]) for entry in entries}
    assert len(found) == len(entries), "no key is listed twice"
    return found


# Includes


def test_files_are_read_as_if_they_were_one(serve, tmp_path):
    put_all(tmp_path, a=PEOPLE, b=whoami("people", path="/b"), c=whoami(path="/c") + "[server]\nmax_streams = 7\n")
    config = INCLUDE + LISTEN_ANYWHERE + whoami(path="/own")
    checked = check(tmp_path, config)
    assert checked.returncode == 0, checked.stderr
    assert "3 routes, 1 authenticator" in checked.stdout
    found = shown(tmp_path, config)
    path = str(tmp_path / "portcullis.toml")
    assert found["routes[0].path"] == ("/own", f"{path}:6")
    assert found["routes[1].path"] == ("/b", f"{tmp_path}/conf.d/b.toml:3")
    assert found["routes[2].path"] == ("/c", f"{tmp_path}/conf.d/c.toml:3")
    assert found["server.max_streams"] == (7, f"{tmp_path}/conf.d/c.toml:7")


@pytest.mark.parametrize(
    "content, line, words",
    [
        ("[server]\nlisten = '127.0.0.1:0'\n", 2, "server.listen: is set in FOLDER/portcullis.toml:3 already"),
        ("\n[serer]\n", 2, 'serer: unknown key; did you mean "server"?'),
        ("[[routes]]\npath = '/'\npublic = tru\n", 3, "not TOML: "),
        ("[[routes]]\npath = '/x'\nauthenticators = ['gone']\nupstream = 'portcullis:whoami'\n", 3, 'unknown authenticator "gone"'),
        ("include = []\n", 1, "include: isn't allowed here"),
        ("[session]\nkeys = ['file:gone.key']\n", 2, "FOLDER/conf.d/gone.key can't be opened"),
    ],
)
def test_a_mistake_names_the_file_that_is_included(tmp_path, content, line, words):
    put_all(tmp_path, wrong=content)
    checked = check(tmp_path, INCLUDE + LISTEN_ANYWHERE + whoami())
    assert checked.returncode == 1
    [error] = checked.stderr.strip().splitlines()
    assert error.startswith(f"{tmp_path}/conf.d/wrong.toml:{line}: "), error
    assert words.replace("FOLDER", str(tmp_path)) in error


def test_a_path_is_relative_to_the_file_in_which_it_stands(tmp_path):
    put_all(tmp_path, session="[session]\nkeys = ['file:cookie.key']\n")
    put_secret(tmp_path / "conf.d" / "cookie.key", KEY)
    assert check(tmp_path, INCLUDE + LISTEN_ANYWHERE + whoami()).returncode == 0


def configure(gateway, files):
    """Puts `conf.d` of a gateway in place, before its configuration includes it."""
    put_all(folder(gateway), **files)
    own = folder(gateway) / "portcullis.toml"
    put(own, INCLUDE + own.read_text())


def test_files_that_are_added_changed_and_removed_take_effect(serve):
    gateway = start(serve, whoami(path="/own"))
    configure(gateway, {"a": whoami(path="/a")})
    taken_up(gateway, "+route /a")
    conf_d = folder(gateway) / "conf.d"
    put(conf_d / "b.toml", PEOPLE + whoami("people", path="/b"))
    eventually(lambda: gateway.send("/b", ALICE).status == 200, "a file that is added")
    assert gateway.send("/b").status == 401
    put(conf_d / "a.toml", whoami(path="/other"))
    eventually(lambda: gateway.send("/other").status == 200, "a change of an included file")
    (conf_d / "b.toml").unlink()
    eventually(lambda: gateway.send("/b", ALICE).status == 404, "the file is gone, and so is its route")
    assert gateway.send("/own").status == 200


def test_an_included_file_with_a_mistake_changes_nothing_until_it_is_mended(serve):
    gateway = start(serve, whoami(path="/own"))
    configure(gateway, {"a": whoami(path="/a")})
    taken_up(gateway, "+route /a")
    wrong = folder(gateway) / "conf.d" / "b.toml"
    put(wrong, "[[routes]]\npath = 1\n")
    told(gateway, f"{wrong}:2: routes[2].path: expected a string, found an integer")
    assert gateway.send("/a").status == 200
    put(wrong, whoami(path="/b"))
    eventually(lambda: gateway.send("/b").status == 200, "the file is mended")


def test_a_secret_of_an_included_file_is_followed(serve):
    gateway = start(serve, whoami(path="/own"))
    people = '[authenticators.people]\nplugin = "simple"\nsettings.password = "file:password"\n'
    put_all(folder(gateway))
    secret = put_secret(folder(gateway) / "conf.d" / "password", "one")
    configure(gateway, {"a": people + whoami("people", path="/a")})
    eventually(lambda: gateway.send("/a", basic("alice", "one")).status == 200, "the file is included")
    put_secret(secret, "two")
    eventually(lambda: gateway.send("/a", basic("alice", "two")).status == 200, "the new secret")
    assert gateway.send("/a", basic("alice", "one")).status == 401


# Variables


def test_a_variable_overrides_a_key(serve):
    gateway = serve(
        PEOPLE + whoami("people"),
        PORTCULLIS__SERVER__MAX_HEADER_SIZE="8KiB",
        PORTCULLIS__ROUTES='[{ path = "/open", public = true, upstream = "portcullis:whoami" }]',
        PORTCULLIS__AUTHENTICATORS__PEOPLE__SETTINGS__PASSWORD="open sesame",
    )
    assert gateway.send("/").status == 404
    assert gateway.send("/open").status == 200
    assert gateway.send("/open", {"X-Long": "x" * 9000}).status == 431


def test_variables_are_enough_without_a_file(tmp_path):
    found = shown(
        tmp_path,
        PORTCULLIS__SERVER__LISTEN="127.0.0.1:9999",
        PORTCULLIS__SESSION__MAX_AGE="1h",
        PORTCULLIS__SESSION__KEYS='["env:KEY"]',
        KEY=KEY,
    )
    assert found["server.listen"] == ("127.0.0.1:9999", "PORTCULLIS__SERVER__LISTEN")
    assert found["session.max_age"] == ("1h", "PORTCULLIS__SESSION__MAX_AGE")
    assert found["authenticators.simple.plugin"][1] == "built-in configuration:7"


@pytest.mark.parametrize(
    "variable, value, words",
    [
        ("PORTCULLIS__SERVER__LISEN", "x", 'server.lisen: unknown key; did you mean "listen"?'),
        ("PORTCULLIS__SERVR__LISTEN", "x", 'servr: unknown key; did you mean "server"?'),
        ("PORTCULLIS__SERVER__LISTEN", "here", 'server.listen: "here" is not an address'),
        ("PORTCULLIS__SERVER__MAX_STREAMS", "many", "server.max_streams: expected a whole number, found a string"),
        ("PORTCULLIS__SESSION__COOKIE", "12", "session.cookie: expected a name of letters"),
        ("PORTCULLIS__ROUTES__0__PATH", "/x", "routes is a list, and a variable can't name an item of it"),
        ("PORTCULLIS__SERVER", "x", "server: expected a table, found a string"),
        ("PORTCULLIS__", "x", "names no key"),
        ("PORTCULLIS__SESSION__KEYS", json.dumps([KEY]), "session.keys[0]: a secret can't be written in the configuration"),
    ],
)
def test_a_mistake_names_the_variable(tmp_path, variable, value, words):
    checked = check(tmp_path, LISTEN_ANYWHERE + SESSION + whoami(), KEY=KEY, **{variable: value})
    assert checked.returncode == 1
    [error] = checked.stderr.strip().splitlines()
    assert error.startswith(f"{variable}: {words}"), error
    assert KEY not in error


def test_a_number_where_a_text_belongs_is_explained(tmp_path):
    checked = check(tmp_path, LISTEN_ANYWHERE + SESSION + whoami(), KEY=KEY, PORTCULLIS__SESSION__COOKIE="12")
    assert "found an integer; a variable's value is read as TOML: for a text, put quotes into it" in checked.stderr
    assert check(tmp_path, LISTEN_ANYWHERE + SESSION + whoami(), KEY=KEY, PORTCULLIS__SESSION__COOKIE='"12"').returncode == 0


def test_names_that_no_variable_can_have_are_reached(tmp_path):
    config = LISTEN_ANYWHERE + '[authenticators.my-People]\nplugin = "simple"\n' + whoami("my-People")
    found = shown(tmp_path, config, PORTCULLIS__AUTHENTICATORS__MY_PEOPLE__LIMITS__DEADLINE="2s")
    variable = "PORTCULLIS__AUTHENTICATORS__MY_PEOPLE__LIMITS__DEADLINE"
    assert found["authenticators.my-People.limits.deadline"] == ("2s", variable)


def test_a_value_that_is_no_text_is_refused(tmp_path):
    """A shell sets it, because the harness passes texts."""
    command = ["sh", "-c", 'export PORTCULLIS__SERVER__LISTEN=$(printf "\\377"); exec "$@"', "sh"]
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + whoami(), launcher=command)
    assert (checked.returncode, checked.stderr) == (1, "PORTCULLIS__SERVER__LISTEN: is not UTF-8\n")


def test_the_command_line_comes_before_a_variable(tmp_path):
    found = shown(tmp_path, LISTEN_ANYWHERE + whoami(), "--listen", "127.0.0.1:2", PORTCULLIS__SERVER__LISTEN="127.0.0.1:1")
    assert found["server.listen"] == (["127.0.0.1:2"], "--listen or PORTCULLIS_LISTEN")


def test_overrides_hold_over_a_reload(serve):
    gateway = start(serve, whoami(), PORTCULLIS__SERVER__MAX_STREAMS="7")
    assert reload(gateway, whoami() + whoami(path="/more")) == ["+route /more"]
    assert reload(gateway, whoami(), 'max_streams = "what is overridden is not read"\n') == ["-route /more"]
    assert "unknown key" in refused(gateway, whoami() + "[acess_log]\n")


# What is in effect


def test_every_value_is_shown_with_its_source(tmp_path):
    put_all(tmp_path, more="[server]\nbody_timeout = '5s'\n")
    config = INCLUDE + LISTEN_ANYWHERE + "max_streams = 64\n" + PEOPLE + whoami("people")
    found = shown(tmp_path, config, PORTCULLIS__SERVER__HEADER_TIMEOUT="7s")
    path = tmp_path / "portcullis.toml"
    assert found["server.max_streams"] == (64, f"{path}:4")
    assert found["server.body_timeout"] == ("5s", f"{tmp_path}/conf.d/more.toml:2")
    assert found["server.header_timeout"] == ("7s", "PORTCULLIS__SERVER__HEADER_TIMEOUT")
    assert found["server.send_timeout"] == ("1m", "default")
    assert found["authenticators.people.limits.memory"] == ("64MiB", "default")
    assert found["authenticators.people.grants.headers"] == (["authorization"], "default")
    assert found["routes[0].identity.user"] == ("x-forwarded-user", "default")
    assert found["plugins.concurrency"] == (256, "default")


def test_no_secret_is_shown(tmp_path):
    plaintext = {"hunter2", "hunter3", KEY}
    put_secret(tmp_path / "key", KEY)
    config = (
        LISTEN_ANYWHERE
        + '[session]\nkeys = ["file:key", "env:KEY"]\n'
        + '[plugins]\nhttp_proxy = "http://user:hunter2@127.0.0.1:9"\n'
        + '[authenticators.people]\nplugin = "simple"\nsettings = { password = "hunter3", realm = "here" }\n'
        + '[authenticators.others]\nplugin = "simple"\nsettings.password = "env:SECRET"\n'
        + whoami("people", "others").replace("portcullis:whoami", "http://127.0.0.1:9")
        + 'identity.shared_secret = { X-Secret = "env:KEY" }\n'
    )
    environment = {"KEY": KEY, "SECRET": "hunter3"}
    found = shown(tmp_path, config, **environment)
    assert found["session.keys"][0] == ["file:key", "env:KEY"]
    assert found["plugins.http_proxy"][0] == "http://(hidden)@127.0.0.1:9"
    assert found["authenticators.people.settings.password"][0] == "(hidden)"
    assert found["authenticators.people.settings.realm"][0] == "here"
    assert found["authenticators.others.settings.password"][0] == "env:SECRET"
    assert found["routes[0].identity.shared_secret.X-Secret"][0] == "env:KEY"
    assert not any(secret in json.dumps(found) for secret in plaintext)
    text = run("config", "show", folder=tmp_path, config=config, **environment).stdout
    assert 'plugins.http_proxy = "http://(hidden)@127.0.0.1:9"' in text
    assert not any(secret in text for secret in plaintext)


def test_secrets_of_variables_of_their_own_are_named(tmp_path):
    config = LISTEN_ANYWHERE + 'trusted_proxies = ["unix"]\n[forward_auth]\n' + whoami()
    found = shown(tmp_path, config, PORTCULLIS_COOKIE_SECRET=KEY, PORTCULLIS_PROXY_TOKEN=KEY)
    assert found["session.keys"] == ("(hidden)", "PORTCULLIS_COOKIE_SECRET")
    assert found["forward_auth.proxy_token"] == ("(hidden)", "PORTCULLIS_PROXY_TOKEN")
    assert "ext_authz.proxy_token" not in found


def test_plugins_of_the_directory_are_shown(tmp_path, scripted_component):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    config = LISTEN_ANYWHERE + drop(plugins, "mine", scripted_component, '[limits]\ndeadline = "2s"\n') + whoami("mine")
    found = shown(tmp_path, config)
    assert found["authenticators.mine.plugin"] == (f"{plugins}/mine.wasm", "plugins.directory")
    assert found["authenticators.mine.limits.deadline"] == ("2s", f"{plugins}/mine.toml:2")
    assert found["authenticators.mine.limits.memory"] == ("64MiB", "default")


def test_settings_of_a_disabled_plugin_are_hidden(tmp_path):
    config = LISTEN_ANYWHERE + (
        '[authenticators.people]\nplugin = "people.wasm"\nsettings = { realm = "here", password = "env:KEY" }\n'
        f'sha256 = "{KEY}"\n' + whoami("people")
    )
    (tmp_path / "people.wasm").write_bytes(b"\0asm")
    found = shown(tmp_path, config, KEY=KEY)
    assert found["authenticators.people.settings.realm"][0] == "(hidden)"
    assert found["authenticators.people.settings.password"][0] == "env:KEY"


def test_mistakes_are_told_instead(tmp_path):
    result = run("config", "show", folder=tmp_path, config=LISTEN_ANYWHERE + "lisen = 1\n" + whoami())
    assert (result.returncode, result.stdout) == (1, "")
    assert 'server.lisen: unknown key; did you mean "listen"?' in result.stderr


def test_the_page_shows_what_is_printed(tmp_path):
    text = PAGE[PAGE.index("## What is in effect") : PAGE.index("## The schema, for editors")]
    [config] = re.findall(r"(?s)```toml\n(.*?)```", text)
    [listing] = re.findall(r"(?m)(?:^    .*\n)+", text)
    command, *lines = textwrap.dedent(listing).splitlines()
    write(tmp_path, config)
    put_all(tmp_path, wiki="[[routes]]\npath = '/wiki'\npublic = true\nupstream = 'portcullis:whoami'\n")
    put_secret(tmp_path / "cookie.key", KEY)
    words = command.removeprefix("$ portcullis ").split()
    result = run(*words, folder=tmp_path, PORTCULLIS__SERVER__LISTEN="0.0.0.0:8000")
    assert result.returncode == 0, result.stderr
    printed = result.stdout.splitlines()
    places = [printed.index(line) for line in lines]
    assert places == sorted(places), "in this order"
