"""The operator's commands: a fresh key, what a request would meet, and what a plugin is."""

import hashlib
import re

import pytest

from harness.client import basic
from harness.config import protected, route, whoami
from harness.gateway import LISTEN_ANYWHERE, run
from harness.raw_plugins import component


def test_keygen_makes_a_key_that_a_session_takes(tmp_path):
    keys = [run("keygen", folder=tmp_path).stdout for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(re.fullmatch(r"[0-9a-f]{64}\n", key) for key in keys)


def explain(folder, upstream, *arguments):
    config = LISTEN_ANYWHERE + protected(upstream) + route(upstream, path="/open", more="public = true")
    return run("explain", *arguments, folder=folder, config=config)


def test_explain_shows_what_each_authenticator_read_and_decided(tmp_path, upstream):
    header = "Authorization: " + basic("alice", "the-secret")["Authorization"]
    result = explain(tmp_path, upstream, "GET", "http://gateway.test/in?x=1", "-H", header)
    assert result.returncode == 0, result.stderr
    for expected in ("people", "authorization", "alice"):
        assert expected in result.stdout
    assert header.split()[-1] not in result.stdout, "the credential itself stays out"
    assert upstream.seen == [], "explaining sends nothing"


@pytest.mark.parametrize(
    "target, expected",
    [
        ("/in", "401"),
        ("/open/door", "public"),
        ("/open/../in", "400"),
    ],
)
def test_explain_shows_the_outcome(tmp_path, upstream, target, expected):
    result = explain(tmp_path, upstream, "GET", f"http://gateway.test{target}")
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout


def test_a_route_that_widens_access_is_reported(tmp_path, upstream, serve):
    config = protected(upstream) + route(upstream, path="/open", more="public = true")
    said = "/open is public, and / is protected"
    checked = run("check", folder=tmp_path, config=config)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines()[1:] == [f"  {said}"]
    for target, explained in [("/open/door", f"warning     {said}"), ("/in", None)]:
        lines = explain(tmp_path, upstream, "GET", f"http://gateway.test{target}").stdout.splitlines()
        assert [line for line in lines if line.startswith("warning")] == [explained] * bool(explained), target
    assert serve(config).logged(message=said) != []


UNMET = """
[authenticators.tokens]
plugin = "jwt"
limits.deadline = "3s"
grants.http = []
[[authenticators.tokens.settings.issuers]]
issuer = "https://idp.example/realms/a"
audiences = ["app"]
discovery = true
[authenticators.tokens.settings]
token_from = [{ cookie = "token" }, { header = "authorization", scheme = "bearer" }]
[authenticators.hub]
plugin = "jupyterhub"
settings = { api_url = "http://10.0.0.1:8081/hub/api", service_name = "app", timeout = "5s" }
grants.http = []
[authenticators.fitting]
plugin = "jupyterhub"
settings = { api_url = "http://10.0.0.1:8081/hub/api", service_name = "app" }
grants.http = ["http://10.0.0.1:8081/hub/api/user"]
"""
"""The settings of `tokens` and `hub` need what they are not granted, and time that they don't have."""


def test_a_built_in_plugin_may_ask_the_servers_that_its_settings_name(tmp_path, upstream):
    """Unless the operator says which servers it may ask. The server of another one's settings is only warned of."""
    config = UNMET.replace("grants.http = []\n", "")
    config += route(upstream, "tokens", "hub") + route(upstream, "fitting", path="/fitting")
    assert "doesn't cover" not in run("check", folder=tmp_path, config=config).stdout
    shown = run("plugin", "inspect", "--authenticator", "tokens", folder=tmp_path, config=config).stdout
    assert re.search(r'server "https://idp\.example" .*granted', shown), shown


def test_a_setting_that_needs_more_than_is_granted_is_reported(tmp_path, upstream, serve):
    config = UNMET + route(upstream, "tokens", "hub") + route(upstream, "fitting", path="/fitting")
    said = [
        "tokens.settings.timeout: 2 requests in a row may take longer than limits.deadline, which is 3s",
        "tokens.settings.issuers[0].issuer: grants.http doesn't cover https://idp.example, so requests there are denied",
        'tokens.settings.token_from[0].cookie: grants.cookies doesn\'t have the cookie "token", so it is never seen',
        "hub.settings.api_url: grants.http doesn't cover http://10.0.0.1:8081, so requests there are denied",
        "hub.settings.timeout: a request may take longer than limits.deadline, which is 5s",
    ]

    def reported(*command):
        lines = run(*command, folder=tmp_path, config=config).stdout.splitlines()
        return [line.split(": authenticators.")[1] for line in lines if ": authenticators." in line]

    assert reported("check") == said
    for target, explained in [("/in", said), ("/fitting", [])]:
        assert reported("explain", "GET", f"http://gateway.test{target}") == explained, target
    logged = serve(config).logged(level="WARN", target="portcullis_loader::warning")
    assert [line["authenticator"] for line in logged] == ["tokens"] * 3 + ["hub"] * 2


def test_inspect_describes_a_plugin(tmp_path, api_key_component):
    result = run("plugin", "inspect", api_key_component, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    content = api_key_component.read_bytes()
    assert hashlib.sha256(content).hexdigest() in result.stdout
    for expected in ("0.2.0", "portcullis:auth/types", '"key"', str(len(content))):
        assert expected in result.stdout


def test_inspect_says_what_a_plugin_can_do_and_how_to_start(tmp_path, api_key_component):
    """Rows D5 and D9 of the field reports: the configuration that it prints is one, but for what only the operator knows."""
    for plugin, can, settings in [
        ("jwt", "verifies signatures or passwords", 'issuers = [{ issuer = "https://id.test", audiences = ["a"], secret = "%s" }]' % ("x" * 32)),
        ("jupyterhub", "asks other servers, as far as grants.http allows", 'api_url = "http://127.0.0.1:1"\nallow_any_token = true'),
        ("simple", "", ""),
        (api_key_component, "", 'key = "k"'),
    ]:  # fmt: skip
        result = run("plugin", "inspect", plugin, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        assert can in result.stdout
        lines = result.stdout.splitlines()
        start = next(index for index, line in enumerate(lines) if line.startswith("to start  "))
        end = next(index for index, line in enumerate(lines) if line.startswith("imports   "))
        printed = "\n".join(line[10:] for line in lines[start:end])
        names = [line.split(" = ")[0] for line in settings.splitlines()]
        kept = [line for line in printed.splitlines() if line.split(" = ")[0] not in names]
        if plugin != api_key_component:
            config = "\n".join(kept).replace(f"[authenticators.{plugin}.settings]", f"[authenticators.{plugin}.settings]\n{settings}")
            checked = run("check", folder=tmp_path, config=config + whoami(plugin))
            assert checked.returncode == 0, checked.stderr + config
        else:
            assert kept == ["# api_key.toml", "[settings]", "[grants]", 'headers = ["x-api-key"]']


def test_plugins_are_compiled_for_an_image(tmp_path, api_key_component):
    """Row H10 of the field reports: a folder that was filled before serves a gateway that can't write to it."""
    folder = tmp_path / "compiled"
    result = run("plugin", "compile", folder, "simple", api_key_component, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    digest = hashlib.sha256(api_key_component.read_bytes()).hexdigest()
    assert result.stdout.splitlines()[1] == f"{digest} {api_key_component}"
    filled = {file.name for file in folder.iterdir()}
    assert len(filled) == 2
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert (folder.stat().st_mode & 0o777, modes) == (0o755, {0o644}), "for a gateway that runs as another user"
    config = f'[plugins]\ncache_directory = "{folder}"\n[authenticators.people]\nplugin = "simple"\n{whoami("people")}'
    done = run("check", "--log-level", "debug", folder=tmp_path, config=config)
    assert done.returncode == 0 and "loaded from the cache" in done.stderr, done.stderr
    assert {file.name for file in folder.iterdir()} == filled
    unknown = run("plugin", "compile", folder, "jtw", folder=tmp_path)
    assert unknown.returncode == 1 and "plugin list" in unknown.stderr


def test_a_plugin_that_starts_with_much_memory_is_loaded_and_inspected_if_it_may_have_it(tmp_path):
    """Row H2 of the field reports: the operator's limit holds for the call that asks for the schema, too."""
    large = component(memory='(memory (export "memory") 1600)')
    config = f'[authenticators.large]\nplugin = "{large}"\n'
    for limits, works in [("", False), ('limits.memory = "256MiB"\n', True)]:
        done = run("check", folder=tmp_path, config=config + limits + whoami("large"))
        assert (done.returncode == 0) == works, done.stderr
        assert works or "limits.memory" in done.stderr
    assert run("plugin", "inspect", large, folder=tmp_path).returncode == 1
    inspected = run("plugin", "inspect", large, "--memory", "256MiB", folder=tmp_path)
    assert inspected.returncode == 0, inspected.stderr


def test_inspect_checks_the_settings_schema(tmp_path):
    """Row H14 of the field reports: what loading would refuse, and where."""
    for schema, expected in [
        ('{"properties":{"a":{"$ref":"#/no"}}}', 'at #/properties/a: "$ref" leads to no place in the schema'),
        ('{"properties":{"a/b":{"pattern":"["}}}', "at #/properties/a~1b: the pattern isn't a regular expression"),
        ('{"anyOf":[{},{"typ":"string"}]}', 'at #/anyOf/1: the keyword "typ" isn\'t supported here'),
    ]:
        text = schema.encode().hex()
        bytes_of = "".join(f"(i32.store8 (i32.const {4096 + at}) (i32.const 0x{text[2 * at:2 * at + 2]}))" for at in range(len(schema)))
        answer = f"{bytes_of}(i32.store (i32.const 128) (i32.const 4096))(i32.store (i32.const 132) (i32.const {len(schema)}))"
        plugin = component(schema=answer)
        done = run("plugin", "inspect", plugin, folder=tmp_path)
        assert done.returncode == 1, done.stdout
        assert "the settings schema is no JSON Schema that can be checked" in done.stderr and expected in done.stderr


def test_plugins_are_listed(tmp_path, api_key_component):
    (tmp_path / "keys.wasm").write_bytes(api_key_component.read_bytes())
    config = f'[authenticators.keys]\nplugin = "./keys.wasm"\nsettings = {{ key = "k" }}\n{whoami()}'
    result = run("plugin", "list", folder=tmp_path, config=config)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == ["cedar", "jupyterhub", "jwt", "kerberos", "oidc", "simple", "keys"]
    assert lines[-1][-1].endswith("keys.wasm")
    missing = run("plugin", "inspect", "jtw", folder=tmp_path)
    assert missing.returncode == 1 and "plugin list" in missing.stderr


def test_inspect_keeps_what_it_compiled_where_serve_finds_it(tmp_path, api_key_component):
    compiled = tmp_path / "portcullis"
    for _ in range(2):
        run("plugin", "inspect", api_key_component, folder=tmp_path, XDG_CACHE_HOME=str(tmp_path))
        assert len(list(compiled.iterdir())) == 1
    (tmp_path / "keys.wasm").write_bytes(api_key_component.read_bytes())
    config = f'[authenticators.keys]\nplugin = "./keys.wasm"\nsettings = {{ key = "k" }}\n{whoami()}'
    result = run("check", folder=tmp_path, config=config, XDG_CACHE_HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert len(list(compiled.iterdir())) == 1


def test_inspect_refuses_a_file_that_is_no_component(tmp_path):
    (tmp_path / "note.wasm").write_text("hello")
    result = run("plugin", "inspect", tmp_path / "note.wasm", folder=tmp_path)
    assert result.returncode == 1
    assert "note.wasm" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["--version"]])
def test_help_is_no_error(tmp_path, arguments):
    result = run(*arguments, folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "portcullis" in result.stdout


def test_an_unknown_command_is_an_error(tmp_path):
    result = run("sreve", folder=tmp_path)
    assert result.returncode == 2
    assert "serve" in result.stderr
