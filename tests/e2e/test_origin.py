"""The origin of plugins: who signed a component, and who may write its file. What isn't as required closes its own routes only."""

import os
import shutil

import pytest

from harness.client import ALICE
from harness.config import PEOPLE, route
from harness.gateway import ADMIN, LISTEN_ANYWHERE, run
from harness.minisign import Key
from harness.process import eventually
from harness.reload import configure, folder, refused, reload, reloads, start

DISABLED, DISABLED_AUTHORIZER = "portcullis_authenticator_disabled", "portcullis_authorizer_disabled"
SCRIPTED = {"Authorization": "Script grant"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The vendor whom the operator trusts, and another one."""
    place = tmp_path_factory.mktemp("keys")
    return {name: Key(place, name) for name in ("vendor", "other")}


@pytest.fixture
def plugins(tmp_path, scripted_component):
    """A plugin directory with the plugin `guard`, which isn't signed."""
    place = tmp_path / "plugins"
    place.mkdir(mode=0o755)
    shutil.copyfile(scripted_component, place / "guard.wasm")
    return place


@pytest.fixture
def wasm(plugins):
    return plugins / "guard.wasm"


def trusting(plugins, *keys, more=""):
    listed = ", ".join(f'"file:{key.public}"' for key in keys)
    return f'[plugins]\ndirectory = "{plugins}"\ntrust = [{listed}]\n{more}'


def guarded(upstream):
    """A route that asks the signed plugin, and one that doesn't."""
    return PEOPLE + route(upstream, "guard", path="/guarded") + route(upstream, "people")


def other_component(wasm):
    """Another component, of the same behaviour: it has one more custom section, which nothing reads."""
    return wasm.read_bytes() + b"\0\x05\x01xyzz"


def missing(wasm, keys):
    pass


def by_another_key(wasm, keys):
    keys["other"].sign(wasm)


def of_another_file(wasm, keys):
    keys["vendor"].sign(wasm)
    wasm.write_bytes(other_component(wasm))


def swapped(wasm, keys):
    """The signature of a file that the vendor signed too."""
    text = wasm.with_name("text")
    text.write_text("hello")
    os.replace(keys["vendor"].sign(text), f"{wasm}.minisig")


def cut(wasm, keys):
    signature = keys["vendor"].sign(wasm)
    signature.write_text(signature.read_text()[:-30])


def another_comment(wasm, keys):
    signature = keys["vendor"].sign(wasm, "-t", "version 1")
    signature.write_text(signature.read_text().replace("version 1", "version 2"))


def legacy(wasm, keys):
    keys["vendor"].sign(wasm, "-l")


def huge(wasm, keys):
    with open(keys["vendor"].sign(wasm), "a") as signature:
        signature.write("\n" * 10_000_000)


def a_folder(wasm, keys):
    os.mkdir(f"{wasm}.minisig")


def a_pipe(wasm, keys):
    """A file that would be waited for."""
    os.mkfifo(f"{wasm}.minisig")


def writable_component(wasm, keys):
    keys["vendor"].sign(wasm)
    wasm.chmod(0o666)


def writable_signature(wasm, keys):
    keys["vendor"].sign(wasm).chmod(0o646)


def of_another_user(wasm, keys):
    keys["vendor"].sign(wasm)
    os.chown(wasm, 65534, -1)


BAD = {
    missing: "can't be opened: No such file",
    by_another_key: "isn't trusted; trusted: ",
    of_another_file: "doesn't hold",
    swapped: "doesn't hold",
    cut: "is no signature of minisign",
    another_comment: "doesn't hold",
    legacy: "legacy format, which isn't accepted: sign again with minisign 0.10",
    huge: "is larger than 4096 bytes",
    a_folder: "isn't a regular file",
    a_pipe: "isn't a regular file",
    writable_component: "is writable for every user (mode 0666); run: chmod o-w",
    writable_signature: "is writable for every user (mode 0646); run: chmod o-w",
    of_another_user: "belongs to the user with the number 65534",
}
NEEDS_ROOT = {of_another_user}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.__name__)
def test_a_bad_origin_closes_its_own_routes_only(serve, upstream, plugins, wasm, keys, case):
    if case in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    case(wasm, keys)
    config = trusting(plugins, keys["vendor"]) + guarded(upstream)
    gateway = serve(ADMIN + config)
    assert gateway.send("/guarded", SCRIPTED).status == 503
    assert gateway.send("/guarded").status == 503
    assert gateway.send("/", ALICE).status == 200
    assert [request["target"] for request in upstream.seen] == ["/"]

    [line] = gateway.logged(level="ERROR", authenticator="guard")
    assert BAD[case] in line["message"]
    assert str(wasm) in line["message"]
    assert not gateway.logged(message="authenticator loaded", authenticator="guard")
    assert gateway.metric(DISABLED, authenticator="guard") == 1
    assert gateway.metric(DISABLED, authenticator="people") == 0

    checked = run("check", folder=folder(gateway), config=LISTEN_ANYWHERE + config)
    assert (checked.returncode, BAD[case] in checked.stderr) == (1, True), checked
    explained = run("explain", "GET", "http://gateway.test/guarded", folder=folder(gateway), config=LISTEN_ANYWHERE + config)
    assert "failed: it is disabled: " in explained.stdout, explained
    assert "503" in explained.stdout


def test_an_authorizer_of_bad_origin_closes_its_own_routes_only(serve, upstream, tmp_path, keys, judge):
    """All of them in one gateway, beside one that the vendor signed."""
    plugins, routes = tmp_path / "plugins", ""
    plugins.mkdir(mode=0o755)
    cases = {case.__name__: case for case in BAD if case not in NEEDS_ROOT}
    for name, case in [*cases.items(), ("good", lambda wasm, keys: keys["vendor"].sign(wasm))]:
        shutil.copyfile(judge, plugins / f"{name}.wasm")
        (plugins / f"{name}.toml").write_text('settings.header = "X-Judge"\ngrants.headers = ["X-Judge"]\n')
        case(plugins / f"{name}.wasm", keys)
        routes += route(upstream, "people", path=f"/{name}", more=f'authorizers = ["{name}"]')
    config = trusting(plugins, keys["vendor"]) + PEOPLE + route(upstream, "people") + routes
    gateway = serve(ADMIN + config)
    for name, case in cases.items():
        assert gateway.send(f"/{name}", ALICE | {"X-Judge": "permit 0"}).status == 503, name
        [line] = gateway.logged(level="ERROR", authorizer=name)
        assert BAD[case] in line["message"] and str(plugins / f"{name}.wasm") in line["message"]
        assert not gateway.logged(message="authorizer loaded", authorizer=name)
        assert gateway.metric(DISABLED_AUTHORIZER, authorizer=name) == 1
    assert upstream.seen == [], "no request was let in"
    assert gateway.send("/", ALICE).status == 200
    assert gateway.send("/good", ALICE | {"X-Judge": "permit 0"}).status == 200
    assert gateway.metric(DISABLED_AUTHORIZER, authorizer="good") == 0
    checked = run("check", folder=folder(gateway), config=LISTEN_ANYWHERE + config)
    assert checked.returncode == 1 and all(BAD[case] in checked.stderr for case in cases.values()), checked
    explained = run("explain", "GET", "http://gateway.test/missing", "-H", f"Authorization: {ALICE['Authorization']}",
                    folder=folder(gateway), config=LISTEN_ANYWHERE + config)
    assert "failed: it is disabled: " in explained.stdout and "503" in explained.stdout, explained


@pytest.mark.parametrize("as_text", [False, True])
def test_a_good_signature_is_good(serve, upstream, plugins, wasm, keys, as_text):
    keys["vendor"].sign(wasm, "-t", "guard 1.0 \x1b[31m")
    config = trusting(plugins, keys["other"], keys["vendor"])
    if as_text:
        config = config.replace(f"file:{keys['vendor'].public}", keys["vendor"].text)
    gateway = serve(ADMIN + config + guarded(upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 200
    [line] = gateway.logged(message="authenticator loaded", authenticator="guard")
    assert line["signer"] == f"{keys['vendor'].id} (guard 1.0 \\u{{1b}}[31m)"
    [line] = gateway.logged(message="authenticator loaded", authenticator="people")
    assert "signer" not in line, "built-in plugins are a part of the gateway"
    assert gateway.metric(DISABLED, authenticator="guard") == 0
    checked = run("check", folder=folder(gateway), config=LISTEN_ANYWHERE + config + guarded(upstream))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_each_request_says_in_the_log_why_it_failed(serve, upstream, plugins, keys):
    gateway = serve(trusting(plugins, keys["vendor"]) + guarded(upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 503
    line = eventually(lambda: [line for line in gateway.log() if "/guarded" in str(line.get("path"))], "its line")[0]
    assert "it is disabled: " in str(line), line


ORDERS = {
    # The authenticators, and the status without credentials, with those of `people`, and with those of the disabled one.
    ("guard", "people"): (503, 503, 503),
    ("people", "guard"): (503, 200, 503),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("optional", ["", "optional = true"])
def test_nobody_gets_past_a_disabled_authenticator(serve, upstream, plugins, keys, order, optional):
    config = trusting(plugins, keys["vendor"]) + PEOPLE + route(upstream, *order, more=optional)
    gateway = serve(config)
    statuses = tuple(gateway.send("/", headers).status for headers in ((), ALICE, SCRIPTED))
    assert statuses == ORDERS[order]


def test_an_authenticator_has_its_own_vendor(serve, upstream, plugins, wasm, keys):
    """Its list replaces that of all."""
    keys["vendor"].sign(wasm)
    special = wasm.parent.parent / "special.wasm"
    shutil.copyfile(wasm, special)
    keys["other"].sign(special)
    own = f'[authenticators.special]\nplugin = "{special}"\ntrust = ["{{}}"]\n'
    routes = guarded(upstream) + route(upstream, "special", path="/special")
    for own_key, expected in (("other", 200), ("vendor", 503)):
        gateway = serve(trusting(plugins, keys["vendor"]) + own.format(keys[own_key].text) + routes)
        assert gateway.send("/special", SCRIPTED).status == expected, own_key
        assert gateway.send("/guarded", SCRIPTED).status == 200


def test_an_unsigned_plugin_that_no_route_asks_is_a_warning(serve, upstream, plugins, keys):
    config = trusting(plugins, keys["vendor"]) + PEOPLE + route(upstream, "people")
    gateway = serve(config)
    [line] = gateway.logged(level="WARN", authenticator="guard")
    assert "nothing asks it" in line["message"]
    assert run("check", folder=folder(gateway), config=LISTEN_ANYWHERE + config).returncode == 0


def test_a_bad_second_version_changes_nothing(serve, upstream, plugins, wasm, keys):
    keys["vendor"].sign(wasm, "-t", "one")
    gateway = start(serve, trusting(plugins, keys["vendor"]) + guarded(upstream))
    first = gateway.logged(message="authenticator loaded", authenticator="guard")

    second = wasm.with_name("second~")
    second.write_bytes(other_component(wasm))
    os.replace(second, wasm)
    assert "doesn't hold" in refused(gateway)
    keys["other"].sign(wasm)
    assert "isn't trusted" in refused(gateway)
    assert gateway.send("/guarded", SCRIPTED).status == 200, "the first version goes on"
    assert gateway.metric(DISABLED, authenticator="guard") == 0
    assert gateway.metric("portcullis_config_last_reload_successful") == 0
    assert gateway.logged(message="authenticator loaded", authenticator="guard") == first

    # Nobody asks for this reload: the signature alone is what changes.
    keys["vendor"].sign(wasm, "-t", "two")
    signer = f"{keys['vendor'].id} (two)"
    eventually(lambda: gateway.logged(authenticator="guard", signer=signer), "the second version is taken up")
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert reload(gateway) == []


def test_a_signature_that_appears_opens_the_routes(serve, upstream, plugins, wasm, keys):
    gateway = start(serve, trusting(plugins, keys["vendor"]) + guarded(upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 503
    # It stays disabled without being in the way of other changes.
    config = trusting(plugins, keys["vendor"]) + guarded(upstream)
    assert reload(gateway, config + route(upstream, "people", path="/more")) == ["+route /more"]
    assert gateway.metric(DISABLED, authenticator="guard") == 1
    keys["vendor"].sign(wasm)
    eventually(lambda: gateway.send("/guarded", SCRIPTED).status == 200, "the routes are open")
    assert gateway.metric(DISABLED, authenticator="guard") == 0
    eventually(lambda: gateway.logged(message="~plugin guard: component"), "it is logged")


def test_a_removed_plugin_is_no_longer_told_as_disabled(serve, upstream, plugins, keys):
    gateway = start(serve, trusting(plugins, keys["vendor"]) + guarded(upstream))
    assert gateway.metric(DISABLED, authenticator="guard") == 1
    reload(gateway, PEOPLE + route(upstream, "people"))
    assert gateway.metric(DISABLED, authenticator="guard") is None


def test_another_key_in_the_same_file_is_taken_up(serve, upstream, plugins, wasm, keys, tmp_path):
    """A vendor's new key: the reload fails until its first signature is there."""
    used = Key(tmp_path, "used")
    used.sign(wasm)
    gateway = start(serve, trusting(plugins, used) + guarded(upstream))
    shutil.copyfile(keys["other"].public, f"{used.public}~")
    os.replace(f"{used.public}~", used.public)
    assert "isn't trusted" in refused(gateway)
    keys["other"].sign(wasm)
    reload(gateway)
    eventually(lambda: gateway.logged(message="~plugins: trust"), "the new key")
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert reloads(gateway, "failed") >= 1


def test_trust_that_is_added_later_does_not_stop_what_works(serve, upstream, plugins, keys):
    gateway = start(serve, f'[plugins]\ndirectory = "{plugins}"\n' + guarded(upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert "guard.wasm.minisig can't be opened" in refused(gateway, trusting(plugins, keys["vendor"]) + guarded(upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 200


@pytest.mark.parametrize("mode", [0o777, 0o2777])
def test_a_folder_that_everyone_may_change_is_refused(upstream, plugins, tmp_path, mode):
    plugins.chmod(mode)
    config = LISTEN_ANYWHERE + f'[plugins]\ndirectory = "{plugins}"\n' + guarded(upstream)
    for command in ("check", "serve"):
        done = run(command, folder=tmp_path, config=config)
        assert done.returncode == 1
        assert f"is writable for every user (mode {mode:04o}); run: chmod o-w {plugins}" in done.stderr + done.stdout


def test_a_volume_of_kubernetes_is_accepted(serve, upstream, plugins, wasm, keys):
    """Its folder has the sticky bit and belongs to a group, as a projected volume with an fsGroup."""
    keys["vendor"].sign(wasm)
    plugins.chmod(0o3777)
    gateway = serve(trusting(plugins, keys["vendor"]) + guarded(upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 200
    warnings = [line["message"] for line in gateway.logged(level="WARN") if "is writable for its group" in line["message"]]
    assert len(warnings) == 1, warnings


UNUSABLE_KEYS = {
    "gone": "can't be opened",
    "garbage": "is no public key of minisign",
    "a folder": "isn't a regular file",
    "writable": "is writable for every user",
}


@pytest.mark.parametrize("case", UNUSABLE_KEYS)
def test_a_key_that_cannot_be_used_stops_the_start(upstream, plugins, keys, tmp_path, case):
    key = tmp_path / "a.pub"
    match case:
        case "garbage":
            key.write_text("hello")
        case "a folder":
            key.mkdir()
        case "writable":
            shutil.copyfile(keys["vendor"].public, key)
            key.chmod(0o666)
    trust = f'[plugins]\ndirectory = "{plugins}"\ntrust = ["file:{key}"]\n'
    done = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + trust + guarded(upstream))
    assert done.returncode == 1
    assert f"plugins.trust[0]: {key} " in done.stderr
    assert UNUSABLE_KEYS[case] in done.stderr


def test_inspect_tells_and_verifies_the_signature(wasm, keys, tmp_path):
    vendor, other = keys["vendor"], keys["other"]

    def inspect(*more):
        return run("plugin", "inspect", wasm, *more, folder=tmp_path)

    assert "signature none\n" in inspect().stdout
    unsigned = inspect("--trust", vendor.text)
    assert (unsigned.returncode, "guard.wasm.minisig can't be opened" in unsigned.stderr) == (1, True)
    vendor.sign(wasm, "-t", "guard 1.0")
    assert f"signature by {vendor.id} (guard 1.0), not verified: --trust KEY does\n" in inspect().stdout
    for key in (vendor.text, f"file:{vendor.public}"):
        assert f"signature by {vendor.id} (guard 1.0), verified\n" in inspect("--trust", other.text, "--trust", key).stdout
    refused = inspect("--trust", other.text)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"is by the key {vendor.id}, which isn't trusted; trusted: {other.id}" in refused.stderr
    assert inspect("--trust", "x").returncode == 2
