"""Registries that lie, send too much, redirect, hang or send garbage. Each is an error that says what is wrong; the
authenticator alone is disabled, and a running gateway goes on as before."""

import json

import pytest

from harness.certificates import Authority
from harness.client import ALICE
from harness.config import PEOPLE, route
from harness.gateway import ADMIN, run
from harness.hostile_registry import HostileRegistry, endless, hangs, manifest_of, redirects, reply, sha256
from harness.minisign import Key
from harness.process import eventually
from harness.registry import section
from harness.reload import refused, start

DISABLED = "portcullis_authenticator_disabled"
SCRIPTED = {"Authorization": "Script grant"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def registry(tmp_path, authority):
    server = HostileRegistry(tmp_path, authority)
    yield server
    server.stop()


@pytest.fixture
def elsewhere(tmp_path, authority):
    """Another server, on a host of another name."""
    server = HostileRegistry(tmp_path, authority, "localhost")
    yield server
    server.stop()


@pytest.fixture
def wasm(scripted_component):
    return scripted_component.read_bytes()


def configured(tmp_path, registry, authority, upstream, more="", tag="1.0"):
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text("sesame")
    access = f'username = "robot"\npassword = "file:{secret}"'
    return f"""
[plugins]
store_directory = "{tmp_path}/store"
pull_timeout = "3s"
{section(registry.host, authority, access)}
{more}
[authenticators.guard]
plugin = "oci://{registry.host}/team/guard:{tag}"
{PEOPLE}
{route(upstream, "guard", path="/guarded")}
{route(upstream, "people")}
"""


TAG = "/v2/team/guard/manifests/1.0"


def blob(wasm):
    return f"/v2/team/guard/blobs/{sha256(wasm)}"


def answers(path, answer):
    """An honest registry but for one path, which is the tag or the component."""

    def prepare(registry, wasm):
        registry.honest(wasm)
        registry.answers[TAG if path == "tag" else blob(wasm)] = answer

    return prepare


def is_an_index(registry, wasm):
    registry.answers[TAG] = json.dumps({"schemaVersion": 2, "manifests": []}).encode()


def has_layers(count, media_type="application/wasm"):
    def prepare(registry, wasm):
        manifest = manifest_of(wasm, media_type)
        manifest["layers"] *= count
        registry.answers[TAG] = json.dumps(manifest).encode()

    return prepare


def says_another_digest(registry, wasm):
    """What the tag leads to isn't what is under its digest."""
    digest = registry.honest(wasm)
    registry.answers[f"/v2/team/guard/manifests/{digest}"] = json.dumps(manifest_of(b"other")).encode()
    # Without the store, which keeps what the tag leads to, the digest is asked for.
    return 'store_directory = "/proc/none"'


def hangs_at(path, begun=b""):
    return lambda registry, wasm: answers(path, hangs(registry, begun))(registry, wasm)


def is_gone(registry, wasm):
    pass


BAD = {
    "nothing": (is_gone, "doesn't have a manifest"),
    "garbage": (answers("tag", b"\xff{garbage"), "its manifest can't be read"),
    "an index": (is_an_index, "is an index of several manifests"),
    "two layers": (has_layers(2), "it has 2 layers, and a component has one"),
    "a container image": (has_layers(1, "application/vnd.oci.image.layer.v1.tar+gzip"), "and a component has application/wasm"),
    "another component": (answers("blob", b"x" * 40), "with the digest sha256:"),
    "an endless manifest": (answers("tag", endless), "sends a manifest of more than 4194304 bytes"),
    "an endless component": (answers("blob", endless), "sends a component of more than"),
    "a promise of 10 GB": (answers("blob", lambda h: reply(h, b"x", length=10**10)), "sends a component of more than"),
    "less than promised": (answers("tag", lambda h: reply(h, b"{}", length=100)), "the connection ended within a manifest"),
    "a manifest that never comes": (hangs_at("tag"), "a pull took longer than 3 s"),
    "a component that never ends": (hangs_at("blob", b"x"), "a pull took longer than 3 s"),
    "a redirect in a circle": (answers("tag", redirects(TAG)), "redirects more than 5 times"),
    "a redirect to http": (answers("blob", redirects("http://127.0.0.1:1/")), "which isn't https"),
    "a redirect to a file": (answers("blob", redirects("file:///etc/passwd")), "which is no address"),
    "an error": (answers("tag", lambda h: reply(h, b'{"errors": [{"code": "TOOMANYREQUESTS"}]}', 429)), "429 Too Many Requests"),
    "another manifest": (says_another_digest, "sent a manifest with the digest sha256:"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_hostile_registry_closes_its_own_routes_only(serve, upstream, tmp_path, authority, registry, wasm, case):
    prepare, expected = BAD[case]
    own_store = prepare(registry, wasm)
    config = configured(tmp_path, registry, authority, upstream)
    if own_store:
        config = config.replace(f'store_directory = "{tmp_path}/store"', own_store)
    gateway = serve(ADMIN + config)
    assert gateway.send("/guarded", SCRIPTED).status == 503
    assert gateway.send("/", ALICE).status == 200
    [line] = gateway.logged(level="ERROR", authenticator="guard")
    assert expected in line["message"]
    assert "sesame" not in gateway.child.output()
    assert gateway.metric(DISABLED, authenticator="guard") == 1
    assert not (gateway.child.log.parent / "portcullis.lock").exists()


def test_a_hostile_registry_stops_no_running_gateway(serve, upstream, tmp_path, authority, registry, wasm):
    registry.honest(wasm)
    gateway = start(serve, configured(tmp_path, registry, authority, upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 200
    for answer, expected in (
        (b"garbage", "its manifest can't be read"),
        (endless, "sends a manifest of more than 4194304 bytes"),
        (hangs(registry), "a pull took longer than 3 s"),
    ):
        registry.answers["/v2/team/guard/manifests/2.0"] = answer
        assert expected in refused(gateway, configured(tmp_path, registry, authority, upstream, tag="2.0"))
        assert gateway.send("/guarded", SCRIPTED).status == 200
    assert gateway.metric(DISABLED, authenticator="guard") == 0


def test_a_registry_is_asked_again(serve, upstream, tmp_path, authority, registry, wasm):
    """Nobody asks for a reload."""
    gateway = serve(configured(tmp_path, registry, authority, upstream))
    assert gateway.send("/guarded", SCRIPTED).status == 503
    registry.honest(wasm)
    eventually(lambda: gateway.send("/guarded", SCRIPTED).status == 200, "the routes are open", seconds=90)
    eventually(lambda: gateway.logged(message="~authenticator guard: component"), "it is logged")


def wants_password(registry, then):
    """Asks for credentials before it answers as it would without them."""

    def answer(handler):
        if "Authorization" not in handler.headers:
            reply(handler, b"", 401, **{"WWW-Authenticate": 'Basic realm="r"'})
        elif callable(then):
            then(handler)
        else:
            reply(handler, then)

    return answer


def test_case_50_credentials_go_to_no_other_host(serve, upstream, tmp_path, authority, registry, elsewhere, wasm):
    registry.honest(wasm)
    elsewhere.answers = {"/component": wasm}
    registry.answers[blob(wasm)] = redirects(f"https://{elsewhere.host}/component")
    registry.answers = {path: wants_password(registry, answer) for path, answer in registry.answers.items()}
    more = section(elsewhere.host, authority)
    gateway = serve(configured(tmp_path, registry, authority, upstream, more))
    assert gateway.send("/guarded", SCRIPTED).status == 200
    assert any("authorization" in headers for _, headers in registry.seen)
    [(path, headers)] = elsewhere.seen
    assert path == "/component"
    assert "authorization" not in headers


def test_a_token_service_is_asked_over_https(serve, upstream, tmp_path, authority, registry, elsewhere, wasm):
    """The registry says where the token service is, and that service gets the password."""
    registry.honest(wasm)
    for realm, status in ((f"https://{elsewhere.host}/token", 200), (f"http://{elsewhere.host}/token", 503)):
        challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="registry"'}

        def secured(answer, challenge=challenge):
            def check(handler):
                good = handler.headers.get("Authorization") == "Bearer good"
                reply(handler, answer) if good else reply(handler, b"", 401, **challenge)

            return check

        registry.honest(wasm)
        registry.answers = {path: secured(answer) for path, answer in registry.answers.items()}
        target = "/token?scope=repository%3Ateam%2Fguard%3Apull&service=registry"
        elsewhere.answers = {target: b'{"token": "good"}'}
        more = section(elsewhere.host, authority)
        place = f'store_directory = "{tmp_path}/store-{status}"'
        config = configured(tmp_path, registry, authority, upstream, more)
        gateway = serve(config.replace(f'store_directory = "{tmp_path}/store"', place))
        assert gateway.send("/guarded", SCRIPTED).status == status
        asked = [headers.get("authorization", "") for _, headers in elsewhere.seen]
        assert (status == 200) == any(value.startswith("Basic ") for value in asked)
        elsewhere.seen.clear()


def test_a_mirror_is_asked_first_and_not_believed(serve, upstream, tmp_path, authority, registry, elsewhere, wasm):
    registry.honest(wasm)
    own = section(registry.host, authority, f'mirrors = ["{elsewhere.host}/cache"]\n')
    for number, mirrored in enumerate((wasm, b"x" * len(wasm), None)):
        elsewhere.honest(wasm, "cache/team/guard")
        path = blob(wasm).replace("/v2/", "/v2/cache/")
        elsewhere.answers[path] = mirrored or hangs(elsewhere)
        if mirrored is None:
            elsewhere.answers = {}
        registry.seen.clear()
        more = f"""
[plugins]
store_directory = "{tmp_path}/store-{number}"
{own}
{section(elsewhere.host, authority)}
[authenticators.guard]
plugin = "oci://{registry.host}/team/guard:1.0"
{route(upstream, "guard")}
"""
        gateway = serve(more)
        assert gateway.send("/", SCRIPTED).status == 200
        assert (mirrored == wasm) == (not registry.seen)
        assert bool(gateway.logged(message="a mirror was of no use")) == (mirrored != wasm)


SIGNATURE = "application/vnd.portcullis.minisign.v1"


def listed(name, digest, kind=SIGNATURE):
    """The descriptor of a manifest in a list of referrers."""
    return {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": len(name), "artifactType": kind}


def goes_on(page, link):
    """A part of a list, and where the next one is."""
    body = json.dumps({"schemaVersion": 2, "manifests": page}).encode()
    return lambda handler: reply(handler, body, Link=f'<{link}>; rel="next"')


def signed(registry, tmp_path, wasm):
    """Puts a component and its signature into a registry. Returns where its referrers are, the signature's digest, and the key."""
    vendor, file = Key(tmp_path), tmp_path / "guard.wasm"
    file.write_bytes(wasm)
    signature = vendor.sign(file).read_bytes()
    subject = registry.honest(wasm)
    manifest = json.dumps(manifest_of(signature, SIGNATURE, artifactType=SIGNATURE, subject=listed("", subject))).encode()
    registry.answers[f"/v2/team/guard/manifests/{sha256(manifest)}"] = manifest
    registry.answers[f"/v2/team/guard/blobs/{sha256(signature)}"] = signature
    return f"/v2/team/guard/referrers/{subject}?artifactType={SIGNATURE}", sha256(manifest), vendor


def verify(tmp_path, registry, authority, vendor):
    config = section(registry.host, authority)
    return run("plugin", "verify", f"oci://{registry.host}/team/guard:1.0", "--trust", vendor.text, folder=tmp_path, config=config)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_list_of_referrers_in_parts_is_read_to_its_end(tmp_path, authority, registry, wasm, absolute):
    """The signature is in the last of three parts, behind others that are none."""
    first, digest, vendor = signed(registry, tmp_path, wasm)
    others = [listed("other", sha256(bytes([n])), "application/vnd.other") for n in range(3)]
    parts = [first, "/v2/team/guard/referrers/x?last=1", "/v2/team/guard/referrers/x?last=2"]
    host = f"https://{registry.host}" if absolute else ""
    for path, following in zip(parts, parts[1:], strict=False):
        registry.answers[path] = goes_on(others, host + following)
    registry.answers[parts[2]] = json.dumps({"schemaVersion": 2, "manifests": [listed("", digest)]}).encode()
    done = verify(tmp_path, registry, authority, vendor)
    assert (done.returncode, "verified" in done.stdout) == (0, True), done.stderr
    assert [path for path, _ in registry.seen if "/referrers/" in path] == parts


@pytest.mark.parametrize(
    "link, expected",
    [
        ("itself", "sent a list of signatures that can't be read: it has more than 32 parts"),
        ("elsewhere", "which is no address of this registry"),
        ("http://127.0.0.1:1/", "which is no address of this registry"),
        ("//127.0.0.1:1/", "which is no address of this registry"),
        ("", "which is no address of this registry"),
    ],
)
def test_a_list_of_referrers_leads_nowhere_else_and_has_an_end(tmp_path, authority, registry, elsewhere, wasm, link, expected):
    first, _, vendor = signed(registry, tmp_path, wasm)
    following = {"itself": first, "elsewhere": f"https://{elsewhere.host}{first}"}.get(link, link)
    registry.answers[first] = goes_on([], following)
    done = verify(tmp_path, registry, authority, vendor)
    assert (done.returncode, expected in done.stderr) == (1, True), done.stderr
    assert elsewhere.seen == []
    assert len([path for path, _ in registry.seen if "/referrers/" in path]) <= 32


def test_older_media_types_are_read(tmp_path, authority, registry, wasm):
    """As Kubewarden and wasmCloud write them."""
    for number, media_type in enumerate((
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.module.wasm.content.layer.v1+wasm",
    )):
        registry.honest(wasm, media_type=media_type)
        reference = f"oci://{registry.host}/team/guard:1.0"
        config = f'[plugins]\nstore_directory = "{tmp_path}/store-{number}"\n' + section(registry.host, authority)
        (tmp_path / "portcullis.lock").unlink(missing_ok=True)
        done = run("plugin", "pull", reference, folder=tmp_path, config=config)
        assert (done.returncode, sha256(wasm) in done.stdout) == (0, True), done


def test_plain_http_must_be_asked_for(tmp_path):
    done = run("plugin", "pull", "oci://127.0.0.1:1/team/guard:1.0", folder=tmp_path, config='[registries."127.0.0.1:1"]\nplain_http = true\n')
    assert "127.0.0.1:1 can't be reached" in done.stderr
