"""Plugins from a registry, Debian's: pushed, pulled, pinned, stored, signed, and taken up by a running gateway."""

import json
import os
import re
import stat
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.certificates import Authority
from harness.client import ALICE
from harness.config import PEOPLE, route
from harness.forward_proxy import ForwardProxy
from harness.gateway import ADMIN, LISTEN_ANYWHERE, clean, run
from harness.hostile_registry import sha256
from harness.minisign import Key
from harness.page import section, sessions
from harness.paths import PORTCULLIS, ROOT
from harness.process import eventually
from harness.registry import PASSWORD, USER, Registry
from harness.registry import section as registry_section
from harness.reload import configure, folder, refused, reload, start

DISABLED = "portcullis_authenticator_disabled"
SCRIPTED = {"Authorization": "Script grant"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory, authority):
    peer = Registry(tmp_path_factory.mktemp("registry"), authority)
    yield peer
    peer.stop()


@pytest.fixture
def own_registry(tmp_path, authority):
    """A registry of this test alone, which it may stop."""
    place = tmp_path / "own-registry"
    place.mkdir()
    peer = Registry(place, authority)
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def vendor(tmp_path_factory):
    return Key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def versions(tmp_path_factory, scripted_component):
    """Two components of the same behaviour: the second has one more custom section, which nothing reads."""
    place = tmp_path_factory.mktemp("versions")
    one, two = place / "one.wasm", place / "two.wasm"
    one.write_bytes(scripted_component.read_bytes())
    two.write_bytes(scripted_component.read_bytes() + b"\0\x05\x01xyzz")
    return one, two


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def plugins(store, more=""):
    return f'[plugins]\nstore_directory = "{store}"\n{more}'


def guarded(upstream, reference, more=""):
    """A route that asks the plugin of the registry, and one that doesn't."""
    guard = f'[authenticators.guard]\nplugin = "{reference}"\n{more}\n[authenticators.guard.grants]\nheaders = ["authorization"]\n'
    return guard + PEOPLE + route(upstream, "guard", path="/guarded") + route(upstream, "people")


def command(folder, *arguments, config="", **environment):
    """Runs `portcullis plugin` with a configuration that has no more than these sections."""
    done = run("plugin", *arguments, folder=folder, config=config, **environment)
    return done


def push(folder, registry, file, reference):
    """Pushes a component, and returns the reference that never changes."""
    done = command(folder, "push", file, reference, config=registry.section())
    assert done.returncode == 0, done.stderr
    return re.search(r"^pinned by (\S+)$", done.stdout, re.M)[1]


def lock(place):
    return tomllib.loads((place / "portcullis.lock").read_text())["plugins"]


def component_of(gateway):
    return [line["component"] for line in gateway.logged(message="authenticator loaded", authenticator="guard")]


def digest(file):
    return sha256(file.read_bytes()).removeprefix("sha256:")


def test_what_was_pushed_is_a_wasm_artifact_of_the_cncf(tmp_path, registry, versions):
    pinned = push(tmp_path, registry, versions[0], registry.reference("team/artifact"))
    manifest = registry.get("team/artifact/manifests/1.0")
    assert manifest.headers["Content-Type"] == "application/vnd.oci.image.manifest.v1+json"
    assert pinned == f"oci://{registry.host}/team/artifact@{sha256(manifest.content)}"
    config, [layer] = manifest.json()["config"], manifest.json()["layers"]
    assert config["mediaType"] == "application/vnd.wasm.config.v0+json"
    assert layer["mediaType"] == "application/wasm"
    assert registry.get(f"team/artifact/blobs/{layer['digest']}").content == versions[0].read_bytes()
    config = registry.get(f"team/artifact/blobs/{config['digest']}").json()
    assert (config["os"], config["architecture"], config["layerDigests"]) == ("wasip2", "wasm", [layer["digest"]])
    assert {"portcullis:auth/authenticator@0.2.0", "portcullis:auth/plugin@0.2.0"} <= set(config["component"]["exports"])
    assert push(tmp_path, registry, versions[0], registry.reference("team/artifact")) == pinned, "the same manifest"


def test_a_tag_is_pinned_and_then_served_without_the_registry(serve, upstream, tmp_path, own_registry, versions, store):
    reference = own_registry.reference("team/guard")
    pinned = push(tmp_path, own_registry, versions[0], reference)
    config = ADMIN + own_registry.section() + plugins(store) + guarded(upstream, reference)
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + config)
    assert checked.returncode == 0, checked.stderr
    assert f"{reference} has no pin in portcullis.lock yet" in checked.stdout
    assert not (tmp_path / "portcullis.lock").exists()

    gateway = serve(config)
    assert gateway.send("/guarded", SCRIPTED).status == 200
    [entry] = lock(folder(gateway))
    assert entry == {
        "reference": reference,
        "manifest": pinned.rpartition("@")[2],
        "component": f"sha256:{digest(versions[0])}",
    }
    assert component_of(gateway) == [digest(versions[0])]
    gateway.stop()

    # The tag moves, and the gateway starts again: first with the registry, then without it.
    push(tmp_path, own_registry, versions[1], reference)
    kept = (folder(gateway) / "portcullis.lock").read_text()
    for number in (1, 2):
        next_folder = tmp_path / f"gateway-{number}"
        next_folder.mkdir()
        (next_folder / "portcullis.lock").write_text(kept)
        again = serve(config)
        assert folder(again) == next_folder
        assert again.send("/guarded", SCRIPTED).status == 200
        assert component_of(again) == [digest(versions[0])]
        assert (next_folder / "portcullis.lock").read_text() == kept
        again.stop()
        own_registry.stop()


def test_a_digest_needs_no_pin(serve, upstream, tmp_path, own_registry, versions, store):
    pinned = push(tmp_path, own_registry, versions[0], own_registry.reference("team/guard"))
    config = own_registry.section() + plugins(store) + guarded(upstream, pinned)
    pulled = command(tmp_path, "pull", pinned, config=own_registry.section() + plugins(store))
    assert pulled.returncode == 0, pulled.stderr
    own_registry.stop()
    gateway = serve(config)
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert not (folder(gateway) / "portcullis.lock").exists()


def test_without_registry_and_store_only_its_own_routes_are_closed(serve, upstream, tmp_path, own_registry, versions, store):
    reference = own_registry.reference("team/guard")
    push(tmp_path, own_registry, versions[0], reference)
    own_registry.stop()
    config = ADMIN + own_registry.section() + plugins(store) + guarded(upstream, reference)
    gateway = serve(config)
    assert gateway.send("/guarded", SCRIPTED).status == 503
    assert gateway.send("/", ALICE).status == 200
    [line] = gateway.logged(level="ERROR", authenticator="guard")
    assert f"{reference}: {own_registry.host} can't be reached: " in line["message"]
    assert gateway.metric(DISABLED, authenticator="guard") == 1
    assert not (folder(gateway) / "portcullis.lock").exists()
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + config)
    assert (checked.returncode, "can't be reached" in checked.stderr) == (1, True), checked


def test_an_update_of_the_pin_is_taken_up_by_a_running_gateway(serve, upstream, tmp_path, registry, versions, store):
    reference = registry.reference("team/update")
    push(tmp_path, registry, versions[0], reference)
    more = registry.section() + plugins(store)
    gateway = start(serve, more + guarded(upstream, reference))
    assert component_of(gateway) == [digest(versions[0])]
    second = push(tmp_path, registry, versions[1], reference)
    place = folder(gateway)

    # Without --update, the pin stays.
    for update, expected in ((False, versions[0]), (True, versions[1])):
        words = ["plugin", "pull", reference, "--config", place / "portcullis.toml"] + ["--update"] * update
        done = run(*words, folder=place)
        assert done.returncode == 0, done.stderr
        assert f"component sha256:{digest(expected)}" in done.stdout
        assert f"pinned    in {place}/portcullis.lock" in done.stdout
        assert lock(place)[0]["component"] == f"sha256:{digest(expected)}"
    eventually(lambda: component_of(gateway) == [digest(versions[0]), digest(versions[1])], "the new version is loaded")
    eventually(lambda: gateway.logged(message="~authenticator guard: component"), "the change is told")
    assert lock(place)[0]["manifest"] == second.rpartition("@")[2]
    assert gateway.send("/guarded", SCRIPTED).status == 200


def test_a_reload_takes_up_another_reference_or_changes_nothing(serve, upstream, tmp_path, registry, versions, store):
    first, second = (registry.reference("team/reload", version) for version in ("1.0", "2.0"))
    push(tmp_path, registry, versions[0], first)
    push(tmp_path, registry, versions[1], second)
    more = registry.section() + plugins(store)
    gateway = start(serve, more + guarded(upstream, first))
    assert reload(gateway, more + guarded(upstream, second)) == ["~authenticator guard: component, plugin"]
    said = refused(gateway, more + guarded(upstream, registry.reference("team/reload", "3.0")))
    assert f"{registry.host} doesn't have a manifest" in said
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert component_of(gateway) == [digest(versions[0]), digest(versions[1])]
    assert [entry["reference"] for entry in lock(folder(gateway))] == [first, second]
    assert gateway.metric(DISABLED, authenticator="guard") == 0


def test_one_line_pulls_a_plugin_into_a_running_gateway_and_a_bad_second_version_changes_nothing(
    serve, upstream, tmp_path, registry, versions, vendor, store
):
    """What the second version changes is a metric and lines of the log."""
    reference = registry.reference("team/line")
    wasm, manifest = tmp_path / "guard.wasm", tmp_path / "manifest.json"

    def publish(verdict, comment):
        wasm.write_bytes(versions[0].read_bytes())
        manifest.write_text(json.dumps({"name": "guard", "version": comment, "self_test": [{"name": "nobody", "expect": {"verdict": verdict}}]}))
        assert run("plugin", "manifest", wasm, manifest, folder=tmp_path).returncode == 0
        vendor.sign(wasm, "-t", comment)
        push(tmp_path, registry, wasm, reference)
        return digest(wasm)

    good = publish("pass", "1.0")
    base = registry.section() + plugins(store, f'trust = ["file:{vendor.public}"]\n') + PEOPLE + route(upstream, "people")
    gateway = start(serve, base)
    place = folder(gateway)
    configure(gateway, base + f'[authenticators.guard]\nplugin = "{reference}"\n' + route(upstream, "guard", path="/guarded"))
    eventually(lambda: gateway.send("/guarded", SCRIPTED).status == 200, "the plugin is pulled")
    assert component_of(gateway) == [good]
    assert lock(place)[0]["component"] == f"sha256:{good}"

    bad = publish("grant", "2.0")
    done = run("plugin", "pull", reference, "--update", "--config", place / "portcullis.toml", folder=place)
    assert (done.returncode, f"component sha256:{bad}" in done.stdout) == (0, True), done
    eventually(lambda: gateway.metric("portcullis_config_last_reload_successful") == 0, "the pin is tried")
    [line] = [line for line in gateway.logged(level="ERROR") if "self-test" in line["message"]]
    assert 'its self-test "nobody" fails: verdict: expected grant, found pass' in line["message"]
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert component_of(gateway) == [good]
    assert gateway.metric(DISABLED, authenticator="guard") == 0


def test_a_lock_that_cannot_be_used_closes_what_needs_it(serve, upstream, tmp_path, registry, versions, store):
    reference = registry.reference("team/lock")
    pinned = push(tmp_path, registry, versions[0], reference)
    config = registry.section() + plugins(store)
    manifest, other = pinned.rpartition("@")[2], sha256(b"other")
    entry = '[[plugins]]\nreference = "{}"\nmanifest = "{}"\ncomponent = "{}"\n'
    for number, (text, mode, expected) in enumerate((
        ("garbage", 0o644, "portcullis.lock is not TOML"),
        ("", 0o666, "portcullis.lock is writable for every user (mode 0666)"),
        (entry.format(reference, manifest, other), 0o644, f"says that the component is {other}"),
        (entry.format(reference, other, other), 0o644, "doesn't have a manifest"),
    )):
        place = tmp_path / f"gateway-{number}"
        place.mkdir()
        (place / "portcullis.lock").write_text(text)
        (place / "portcullis.lock").chmod(mode)
        gateway = serve(config + guarded(upstream, reference))
        assert gateway.send("/guarded", SCRIPTED).status == 503
        assert gateway.send("/", ALICE).status == 200
        [line] = gateway.logged(level="ERROR", authenticator="guard")
        assert expected in line["message"]
        assert (place / "portcullis.lock").read_text() == text
        gateway.stop()


def test_a_tag_that_cannot_be_pinned_is_not_used(serve, upstream, tmp_path, registry, versions, store):
    """The folder of the configuration is read-only, as in a ConfigMap."""
    reference = registry.reference("team/readonly")
    push(tmp_path, registry, versions[0], reference)
    config = ADMIN + registry.section() + plugins(store) + guarded(upstream, reference)
    place = tmp_path / "gateway-0"
    place.mkdir()
    (tmp_path / "config").mkdir()
    launcher = read_only(tmp_path / "config")
    (tmp_path / "config" / "portcullis.toml").write_text(LISTEN_ANYWHERE + config)
    gateway = serve(arguments=["--config", tmp_path / "config" / "portcullis.toml"], launcher=launcher)
    assert gateway.send("/guarded", SCRIPTED).status == 503
    assert gateway.send("/", ALICE).status == 200
    [line] = gateway.logged(level="ERROR", authenticator="guard")
    assert "portcullis.lock can't be written" in line["message"]
    assert "`portcullis plugin pull REFERENCE --config FILE`" in line["message"]


def read_only(place):
    """A launcher for which a folder can't be written: root may write wherever the file system may be."""
    if os.geteuid() == 0:
        script = f'mount --bind {place} {place} && mount -o remount,bind,ro {place} && exec "$@"'
        probe = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", "true"], capture_output=True)
        if probe.returncode != 0:
            pytest.skip("this machine mounts nothing")
        return ["unshare", "-m", "sh", "-c", script, "sh"]
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    return []


def test_a_signature_goes_along(serve, upstream, tmp_path, own_registry, versions, vendor, store):
    reference = own_registry.reference("team/signed")
    unsigned = push(tmp_path, own_registry, versions[1], own_registry.reference("team/signed", "unsigned"))
    wasm = tmp_path / "signed.wasm"
    wasm.write_bytes(versions[0].read_bytes())
    signed = run("plugin", "sign", wasm, "--key", vendor.secret, "--comment", "guard 1.0", folder=tmp_path)
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout == f"{wasm}.minisig: signed by {vendor.id} (guard 1.0)\n"
    pinned = push(tmp_path, own_registry, wasm, reference)

    # By the tag schema, since this registry has no referrers API.
    subject = pinned.rpartition("@")[2]
    [listed] = own_registry.get(f"team/signed/manifests/{subject.replace(':', '-')}").json()["manifests"]
    assert listed["artifactType"] == "application/vnd.portcullis.minisign.v1"
    manifest = own_registry.get(f"team/signed/manifests/{listed['digest']}").json()
    assert manifest["subject"]["digest"] == subject
    assert manifest["artifactType"] == listed["artifactType"]

    trust = f'trust = ["file:{vendor.public}"]\n'
    config = ADMIN + own_registry.section() + plugins(store, trust)
    gateway = serve(config + guarded(upstream, reference))
    assert gateway.send("/guarded", SCRIPTED).status == 200
    [line] = gateway.logged(message="authenticator loaded", authenticator="guard")
    assert line["signer"] == f"{vendor.id} (guard 1.0)"

    for words, expected in (
        (["verify", reference, "--trust", vendor.text], f"{reference}: signature by {vendor.id} (guard 1.0), verified\n"),
        (["inspect", reference], f"signature by {vendor.id} (guard 1.0), not verified: --trust KEY does\n"),
        (["inspect", unsigned], "signature none\n"),
    ):
        done = command(tmp_path, *words, config=config)
        assert (done.returncode, expected in done.stdout) == (0, True), done
    done = command(tmp_path, "pull", reference, "-o", tmp_path / "pulled.wasm", config=config)
    assert f"signature by {vendor.id} (guard 1.0), verified" in done.stdout, done
    assert (tmp_path / "pulled.wasm").read_bytes() == wasm.read_bytes()
    assert (tmp_path / "pulled.wasm.minisig").read_bytes() == (tmp_path / "signed.wasm.minisig").read_bytes()

    # What isn't signed closes its own routes, and keeps a reload from taking effect.
    closed = serve(config + guarded(upstream, unsigned))
    assert closed.send("/guarded", SCRIPTED).status == 503
    assert closed.send("/", ALICE).status == 200
    [line] = closed.logged(level="ERROR", authenticator="guard")
    assert f"{unsigned}: {own_registry.host} doesn't have a signature of it" in line["message"]
    done = command(tmp_path, "verify", unsigned, "--trust", vendor.text, config=config)
    assert (done.returncode, done.stdout) == (1, "")

    # Signature and component are in the store.
    own_registry.stop()
    offline = serve(config + guarded(upstream, pinned))
    assert offline.send("/guarded", SCRIPTED).status == 200


def test_a_signature_by_another_key_is_refused(serve, upstream, tmp_path, registry, versions, vendor, store):
    other = Key(tmp_path, "other")
    wasm = tmp_path / "other.wasm"
    wasm.write_bytes(versions[0].read_bytes())
    other.sign(wasm)
    reference = registry.reference("team/other")
    push(tmp_path, registry, wasm, reference)
    trust = f'trust = ["file:{vendor.public}"]\n'
    gateway = serve(registry.section() + plugins(store, trust) + guarded(upstream, reference))
    assert gateway.send("/guarded", SCRIPTED).status == 503
    [line] = gateway.logged(level="ERROR", authenticator="guard")
    assert f"its signature in the registry is by the key {other.id}, which isn't trusted" in line["message"]
    assert not (folder(gateway) / "portcullis.lock").exists(), "what isn't used isn't pinned"

    # A second signature is found beside the first.
    vendor.sign(wasm)
    push(tmp_path, registry, wasm, reference)
    again = serve(registry.section() + plugins(store, trust) + guarded(upstream, reference))
    assert again.send("/guarded", SCRIPTED).status == 200


@pytest.mark.parametrize("password", ["file", "env", "none"])
def test_a_key_with_a_password_signs(tmp_path, versions, password):
    public, secret = tmp_path / "v.pub", tmp_path / "v.key"
    subprocess.run(
        ["minisign", "-G", "-p", public, "-s", secret], input="sesame\nsesame\n", text=True, check=True, capture_output=True
    )
    wasm = tmp_path / "a.wasm"
    wasm.write_bytes(versions[0].read_bytes())
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text("sesame\n")
    option = {"file": ["--password", f"file:{tmp_path}/password"], "env": ["--password", "env:SESAME"], "none": []}[password]
    done = run("plugin", "sign", wasm, "--key", secret, *option, folder=tmp_path, SESAME="sesame")
    if password == "none":
        assert (done.returncode, "use --password file:PATH" in done.stderr) == (1, True), done
        return
    assert done.returncode == 0, done.stderr
    subprocess.run(["minisign", "-V", "-p", public, "-m", wasm], check=True, capture_output=True)
    done = run("plugin", "verify", wasm, "--trust", f"file:{public}", folder=tmp_path)
    assert (done.returncode, "verified" in done.stdout) == (0, True), done


def docker(place, **config):
    """A folder with Docker's `config.json`."""
    place.mkdir()
    (place / "config.json").write_text(json.dumps(config))
    return place


def test_credentials_of_docker_are_used(tmp_path, registry, authority, versions, store):
    reference = registry.reference("team/docker")
    push(tmp_path, registry, versions[0], reference)
    config = registry_section(registry.host, authority) + plugins(store)
    helpers = tmp_path / "bin"
    helpers.mkdir()
    for name, script in {
        "good": f'cat >/dev/null; echo \'{{"ServerURL": "x", "Username": "{USER}", "Secret": "{PASSWORD}"}}\'',
        "unknown": "cat >/dev/null; echo credentials not found in native keychain; exit 1",
        "broken": f"cat >/dev/null; echo {PASSWORD}; exit 1",
    }.items():
        (helpers / f"docker-credential-{name}").write_text(f"#!/bin/sh\n{script}\n")
        (helpers / f"docker-credential-{name}").chmod(0o755)
    auth = subprocess.run(["base64", "-w0"], input=f"{USER}:{PASSWORD}", text=True, capture_output=True).stdout
    wrong = subprocess.run(["base64", "-w0"], input=f"{USER}:wrong", text=True, capture_output=True).stdout
    for name, content, expected in (
        ("auths", {"auths": {registry.host: {"auth": auth}}}, ""),
        ("helper", {"credHelpers": {registry.host: "good"}}, ""),
        ("store", {"credsStore": "good"}, ""),
        ("empty", {}, f"no credentials were sent; set username and password in [registries.\"{registry.host}\"]"),
        ("not-there", {"credsStore": "unknown"}, "no credentials were sent"),
        ("wrong", {"auths": {registry.host: {"auth": wrong}}}, "refuses access (401 Unauthorized): the credentials of"),
        ("broken", {"credsStore": "broken"}, "names the credential helper docker-credential-broken, which failed"),
        ("missing", {"credsStore": "missing"}, "names a credential helper that can't be run"),
    ):
        environment = {"DOCKER_CONFIG": str(docker(tmp_path / f"docker-{name}", **content)), "PATH": f"{helpers}:{os.environ['PATH']}"}
        (tmp_path / "portcullis.lock").unlink(missing_ok=True)
        done = command(tmp_path, "pull", reference, config=config, **environment)
        assert (done.returncode == 0) == (not expected), (name, done)
        assert expected in done.stderr
        assert PASSWORD not in done.stderr
    done = command(tmp_path, "pull", reference, "--update", config=registry.section(username="other") + plugins(store))
    assert f'the username and password of [registries."{registry.host}"] were sent' in done.stderr


def test_push_and_pull_go_through_a_forward_proxy(serve, upstream, tmp_path, registry, authority, versions, store):
    """Only the proxy knows the registry's name."""
    port = registry.host.rpartition(":")[2]
    name = f"registry.test:{port}"
    reference = f"oci://{name}/team/proxied:1.0"
    access = registry_section(name, authority, f'username = "{USER}"\npassword = "file:{registry.secret}"\n')
    guard = guarded(upstream, reference)
    with ForwardProxy(("127.0.0.1", int(port)), credentials="user:secret-pass") as proxy:
        url = proxy.url.replace("://", "://user:secret-pass@")
        pushed = command(tmp_path, "push", versions[0], reference, config=access, HTTPS_PROXY=url)
        assert pushed.returncode == 0, pushed.stderr
        gateway = serve(access + plugins(store, 'http_proxy = "env:OUR_PROXY"\n') + guard, OUR_PROXY=url)
        assert gateway.send("/guarded", SCRIPTED).status == 200
        assert component_of(gateway) == [digest(versions[0])]
        assert proxy.seen and all(head.startswith(f"CONNECT {name} ") for head in proxy.seen)
        assert "authorization: basic" in proxy.seen[0].lower() and PASSWORD not in "".join(proxy.seen)
        asked = len(proxy.seen)
        # Past the proxy, nobody knows the name; and what the proxy refuses is an error of this authenticator alone.
        other = plugins(tmp_path / "other-store", 'http_proxy = "none"\n')
        done = command(tmp_path, "pull", reference, "--update", config=access + other, HTTPS_PROXY=url)
        assert (done.returncode, f"{name} can't be reached" in done.stderr) == (1, True), done
        assert len(proxy.seen) == asked
        wrong = url.replace("secret-pass", "other-pass")
        refused_by_proxy = serve(access + plugins(tmp_path / "third-store") + guard, HTTPS_PROXY=wrong)
        assert refused_by_proxy.send("/guarded", SCRIPTED).status == 503
        assert refused_by_proxy.send("/", ALICE).status == 200
        [line] = refused_by_proxy.logged(level="ERROR", authenticator="guard")
        assert name in line["message"] and "proxy authorization required" in line["message"]
        assert "other-pass" not in refused_by_proxy.child.output()


def test_a_private_authority_must_be_configured(tmp_path, registry):
    done = command(tmp_path, "pull", registry.reference("team/guard"))
    assert (done.returncode, "can't be reached: invalid peer certificate" in done.stderr) == (1, True), done


def test_what_is_no_plugin_is_not_pushed(tmp_path, registry):
    file = tmp_path / "text.wasm"
    file.write_text("hello")
    done = command(tmp_path, "push", file, registry.reference("team/text"), config=registry.section())
    assert done.returncode == 1
    assert registry.get("team/text/manifests/1.0").status_code == 404


def test_many_processes_share_a_store(tmp_path, registry, versions, store):
    reference = registry.reference("team/shared")
    push(tmp_path, registry, versions[0], reference)

    def pull(number):
        place = tmp_path / f"process-{number}"
        place.mkdir()
        return command(place, "pull", reference, "-o", place / "out.wasm", config=registry.section() + plugins(store))

    with ThreadPoolExecutor() as pool:
        for number, done in enumerate(pool.map(pull, range(6))):
            assert done.returncode == 0, done.stderr
            assert (tmp_path / f"process-{number}" / "out.wasm").read_bytes() == versions[0].read_bytes()
    assert len(list((store / "sha256").iterdir())) == 2, "the manifest and the component, and nothing half-written"


def test_test_and_compile_know_references(tmp_path, registry, versions, store):
    reference = registry.reference("team/tested")
    push(tmp_path, registry, versions[0], reference)
    config = registry.section() + plugins(store)
    cases = tmp_path / "cases.toml"
    cases.write_text('[grants]\nheaders = ["authorization"]\n[[cases]]\nname = "x"\nrequest.headers = { Authorization = "Script grant" }\nexpect = { status = 200 }\n')
    done = command(tmp_path, "test", reference, cases, config=config)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done
    done = command(tmp_path, "compile", tmp_path / "compiled", reference, config=config)
    assert (done.returncode, done.stdout) == (0, f"{digest(versions[0])} {reference}\n"), done


def commands(page, heading):
    """The commands below a heading, each with the output that the page shows."""
    found = sessions(section((ROOT / "docs" / page).read_text(), heading))
    return [(words, "\n".join(output)) for words, output in found if words.startswith("portcullis ")]


def pattern(shown):
    """What is the same for every key and every version of a component."""
    parts = re.split(r"(sha256:[0-9a-f]+…|\b[0-9A-F]{16}\b|\b\d+ bytes)", shown)
    same = {"s": "sha256:[0-9a-f]{64}", "b": r"\d+ bytes", "k": "[0-9A-F]{1,16}"}
    kind = lambda part: "s" if part.startswith("sha256") else "b" if part.endswith("bytes") else "k"
    return "".join(same[kind(part)] if index % 2 else re.escape(part) for index, part in enumerate(parts))


def test_the_commands_of_the_pages_say_what_the_pages_show(tmp_path, registry, versions, vendor, store):
    """Only the name of the registry differs, and what belongs to a key or a component."""
    (tmp_path / "keys.wasm").write_bytes(versions[0].read_bytes())
    for source, name in ((vendor.public, "vendor.pub"), (vendor.secret, "vendor.key")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(source.read_bytes())
    config = tmp_path / "portcullis.toml"
    config.write_text(registry.section() + plugins(store))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "portcullis").symlink_to(PORTCULLIS)
    environment = clean({"PORTCULLIS_CONFIG": str(config), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    badge = registry.reference("team/badge")
    (tmp_path / "badge.wasm").write_bytes(versions[0].read_bytes())
    signed = run("plugin", "sign", tmp_path / "badge.wasm", "--key", vendor.secret, "--comment", "badge 1.0", folder=tmp_path)
    assert signed.returncode == 0, signed.stderr
    push(tmp_path, registry, tmp_path / "badge.wasm", badge)
    config.write_text(registry.section() + plugins(store))
    listed = [
        *commands("authors.md", "Publish it"),
        *commands("registry.md", "Tags and digests"),
        *commands("registry.md", "Signatures"),
    ]
    assert len(listed) == 4
    for words, shown in listed:
        words = words.replace("registry.example", registry.host)
        done = subprocess.run(
            words, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, (words, done.stderr)
        assert re.fullmatch(pattern(shown.replace("registry.example", registry.host)), done.stdout.rstrip("\n")), (words, done.stdout)
