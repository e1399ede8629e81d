"""What a plugin says of itself: `inspect` shows it, and `check` and the log compare what it asks for with what it is granted."""

import json
import shutil

import pytest

from harness.config import whoami
from harness.gateway import run
from harness.paths import ROOT

KEYS = """
[authenticators.keys]
plugin = "%s"
settings = { key = "k" }
grants = { headers = ["x-other"], cookies = ["a"], query = ["*"], http = ["https://a.example"] }
[[routes]]
path = "/"
authenticators = ["keys"]
upstream = "portcullis:whoami"
"""

UNMET = [
    'keys.plugin: grants.headers doesn\'t have the header "x-api-key", which the plugin asks for, so it is never seen',
    'keys.plugin: grants.headers has the header "x-other", which the plugin never asks for',
    'keys.plugin: grants.cookies has the cookie "a", which the plugin never asks for',
    'keys.plugin: grants.query has the query parameter "*", which the plugin never asks for',
    'keys.plugin: grants.http has the server "https://a.example:443", which the plugin never asks for',
]


def labelled(text, label):
    """The lines of `inspect` that begin with this label, and those below it."""
    lines, found = text.splitlines(), []
    for index, line in enumerate(lines):
        if line.startswith(label.ljust(10)):
            found.append(line[10:])
            found += [more[10:] for more in lines[index + 1 :][: next_label(lines[index + 1 :])]]
            break
    return found


def next_label(lines):
    return next((index for index, line in enumerate(lines) if not line.startswith(" " * 10)), len(lines))


def test_inspect_shows_what_a_plugin_says_of_itself(tmp_path, api_key_component):
    done = run("plugin", "inspect", api_key_component, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "plugin    api-key 0.1.0: Accepts requests that carry an API key"
    assert lines[1] == "role      authenticator"
    assert labelled(done.stdout, "asks for") == ['header "x-api-key"']


@pytest.mark.parametrize(
    "plugin, asks",
    [
        # It depends on the policies whether it needs the client's certificate.
        ("cedar", ["it doesn't say: its documentation has to"]),
        ("simple", ['header "authorization"']),
        ("jwt", ["servers that neither its manifest nor its settings name", "what its settings name"]),
        ("jupyterhub", ['header "authorization"', "what its settings name"]),
        ("kerberos", ['header "authorization"', "what its settings name"]),
        (
            "oidc",
            [
                "servers that neither its manifest nor its settings name",
                "places to log in that neither its manifest nor its settings name",
                "what its settings name",
            ],
        ),
    ],
)
def test_every_built_in_plugin_says_what_it_asks_for(tmp_path, plugin, asks):
    done = run("plugin", "inspect", plugin, folder=tmp_path)
    role = "authorizer" if plugin == "cedar" else "authenticator"
    assert done.stdout.startswith(f"plugin    portcullis-plugin-{plugin} 0.1.0: The built-in {role} for "), done.stderr
    assert labelled(done.stdout, "asks for") == asks


@pytest.mark.parametrize("plugin, says", [("jupyterhub", True), ("oidc", False), ("jwt", False)])
def test_inspect_says_whether_a_login_is_asked_without_a_request(tmp_path, plugin, says):
    done = run("plugin", "inspect", plugin, folder=tmp_path)
    expected = ["spends nothing: also asked about sessions of which only a WebSocket is open"] if says else []
    assert labelled(done.stdout, "renewal") == expected, done.stderr


def test_what_is_missing_and_what_is_superfluous_is_reported(tmp_path, api_key_component, serve):
    config = KEYS % api_key_component
    checked = run("check", folder=tmp_path, config=config)
    said = [line.split(": authenticators.")[1] for line in checked.stdout.splitlines() if ": authenticators." in line]
    assert said == UNMET, checked.stderr
    logged = serve(config).logged(level="WARN", target="portcullis_loader::warning")
    assert [line["message"].split(": authenticators.")[1] for line in logged] == UNMET
    met = config.replace(config.split("grants = ")[1].splitlines()[0], '{ headers = ["x-api-key"] }')
    checked = run("check", folder=tmp_path, config=met)
    assert checked.stdout.count("\n") == 1, checked.stdout + checked.stderr


def test_inspect_compares_with_the_grants_of_an_authenticator(tmp_path, api_key_component):
    done = run("plugin", "inspect", "--authenticator", "keys", folder=tmp_path, config=KEYS % api_key_component)
    assert done.returncode == 0, done.stderr
    assert labelled(done.stdout, "asks for") == [
        'header "x-api-key": not granted',
        'header "x-other": granted, but never asked for',
        'cookie "a": granted, but never asked for',
        'query parameter "*": granted, but never asked for',
        'server "https://a.example:443": granted, but never asked for',
    ]
    hub = """
[authenticators.hub]
plugin = "jupyterhub"
settings = { api_url = "http://10.0.0.1:8081/hub/api/secret", service_name = "app" }
"""
    for grants, granted in [("", "granted"), ("grants.http = []\n", "not granted")]:
        done = run("plugin", "inspect", "--authenticator", "hub", folder=tmp_path, config=hub + grants)
        assert labelled(done.stdout, "asks for") == [
            'header "authorization": granted',
            f'server "http://10.0.0.1:8081" (settings.api_url): {granted}',
        ]
    unknown = run("plugin", "inspect", "--authenticator", "hab", folder=tmp_path, config=hub)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith('hab: unknown authenticator; did you mean "hub"?\n')
    both = run("plugin", "inspect", "jwt", "--authenticator", "hub", folder=tmp_path, config=hub)
    assert both.returncode == 2


def test_a_manifest_is_put_into_a_component_of_any_language(tmp_path, api_key_component):
    component, manifest = tmp_path / "a.wasm", tmp_path / "manifest.json"
    shutil.copy(api_key_component, component)
    for version in ("1.0", "2.0"):
        grants = {"cookies": ["a"], "client_certificate": True}
        manifest.write_text(json.dumps({"name": "other", "version": version, "grants": grants, "later": {}}))
        done = run("plugin", "manifest", component, manifest, folder=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{component} is other {version}\n"), done.stderr
        inspected = run("plugin", "inspect", component, folder=tmp_path).stdout
        assert inspected.startswith(f"plugin    other {version}\n")
        assert labelled(inspected, "asks for") == ['cookie "a"', "client certificate"]
    tested = run("plugin", "test", component, ROOT / "examples/api_key/cases.toml", folder=tmp_path)
    assert tested.stdout.splitlines()[-1] == "3 passed", tested.stdout
    before = component.read_bytes()
    assert before.count(b"portcullis:manifest") == 2, "that of the SDK is in the module, and one more"
    for content, why in [("{", "is malformed"), ('{"name": "n", "grants": {"headers": ["a b"]}}', "can't be granted")]:
        manifest.write_text(content)
        done = run("plugin", "manifest", component, manifest, folder=tmp_path)
        assert done.returncode == 1 and f"{manifest}: the component's manifest" in done.stderr and why in done.stderr
    assert component.read_bytes() == before
    manifest.write_text('{"name": "n"}')
    done = run("plugin", "manifest", manifest, manifest, folder=tmp_path)
    assert done.returncode == 1 and "this is no WebAssembly" in done.stderr
    assert {file.name for file in tmp_path.iterdir() if file.suffix == ".partial"} == set()


def test_a_component_with_a_damaged_manifest_is_not_loaded(tmp_path, api_key_component):
    damaged = tmp_path / "damaged.wasm"
    content = api_key_component.read_bytes()
    damaged.write_bytes(content.replace(b'{"name":"api-key"', b'{"nome":"api-key"'))
    done = run("plugin", "inspect", damaged, folder=tmp_path)
    assert done.returncode == 1
    assert 'manifest (custom section "portcullis:manifest") is malformed: missing field `name`' in done.stderr


def test_the_self_test_of_the_page_holds_and_tells_what_does_not(tmp_path, api_key_component):
    page = (ROOT / "docs" / "authors.md").read_text().partition("### The self-test")[2]
    example = page.partition("```json\n")[2].partition("```")[0]
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    component = plugins / "keys.wasm"
    (plugins / "keys.toml").write_text('[settings]\nkey = "open sesame"\n[grants]\nheaders = ["x-api-key"]\n')
    config = '[plugins]\ndirectory = "plugins"\n' + whoami("keys")

    def check(manifest):
        shutil.copy(api_key_component, component)
        (tmp_path / "manifest.json").write_text(manifest)
        put = run("plugin", "manifest", component, tmp_path / "manifest.json", folder=tmp_path)
        return put if put.returncode else run("check", folder=tmp_path, config=config)

    good = check(example)
    assert good.returncode == 0, good.stderr
    shown = run("plugin", "inspect", component, folder=tmp_path)
    assert labelled(shown.stdout, "self-test") == [case["name"] for case in json.loads(example)["self_test"]]
    bad = check(example.replace("401", "200"))
    told = next(line.strip() for line in page.splitlines() if "its self-test" in line and line.startswith("    "))
    told = told.partition(" fails: ")[0] + " fails: status: expected 200, found 401 (the plugin rejects"
    assert bad.returncode == 1 and told in bad.stdout + bad.stderr, bad
    unread = check(example.replace('"verdict"', '"verdit"'))
    assert unread.returncode == 1 and "self_test[0].expect.verdit: unknown key" in unread.stderr, unread
