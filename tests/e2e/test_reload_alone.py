"""Hot reload of one key alone, and of what is shared: an acceptor, who may speak the PROXY protocol, who needs a certificate,
the series of metrics, and a cache of compiled plugins that two gateways use."""

import shutil
import ssl

import pytest
from test_hostile_loading import BAD, TEXTS, broken
from test_proxy_protocol import ask as ask_with
from test_proxy_protocol import v1
from test_reload_running import BOTH, GUEST, Crowd, replace
from test_tls import Session, with_clients

from harness import raw_plugins
from harness.client import ALICE, send
from harness.config import PEOPLE, protected, route, whoami
from harness.gateway import ADMIN, run
from harness.kerberos import ask, helpers
from harness.kerberos import protected as by_kerberos
from harness.reload import refused, reload, start
from harness.upstream import values

TRUSTED = 'trusted_proxies = ["127.0.0.1"]\n'


def test_an_acceptor_changes_alone(kdc, serve, upstream, keytab, tmp_path):
    gateway = start(serve, by_kerberos(keytab, upstream))
    assert ask(gateway, kdc.token()).status == 200
    known = {helper.pid for helper in helpers(gateway)}

    more = by_kerberos(keytab, upstream, more="workers = 3")
    assert reload(gateway, more) == ["~acceptor http: workers"]
    assert ask(gateway, kdc.token()).status == 200
    assert not known & {helper.pid for helper in helpers(gateway)}, "those of before have ended"

    known = {helper.pid for helper in helpers(gateway)}
    assert reload(gateway, more + whoami(path="/more")) == ["+route /more"]
    assert known <= {helper.pid for helper in helpers(gateway)}, "what hasn't changed goes on"

    broken = tmp_path / "broken.keytab"
    broken.write_bytes(b"no keytab")
    broken.chmod(0o600)
    said = refused(gateway, by_kerberos(broken, upstream, replay_cache=keytab.parent / "replay"))
    assert "broken.keytab" in said
    assert ask(gateway, kdc.token()).status == 200


def test_the_proxy_protocol_is_turned_on_and_off_alone(serve, upstream):
    config = protected(upstream)
    gateway = start(serve, config, TRUSTED)
    assert gateway.send("/", ALICE).status == 200
    for _ in range(2):
        on = TRUSTED + "proxy_protocol = true\n"
        assert reload(gateway, config, on) == ["~server: proxy_protocol"]
        answer = ask_with(gateway, v1("192.0.2.1"))
        assert (answer.status, values(answer.json(), "x-forwarded-for")) == (200, ["192.0.2.1"])
        with pytest.raises(OSError):
            gateway.send("/", ALICE)
        assert reload(gateway, config, TRUSTED) == ["~server: proxy_protocol"]
        assert gateway.send("/", ALICE).status == 200
        assert ask_with(gateway, v1("192.0.2.1")).status == 400, "it is no request"


def test_certificates_of_clients_are_demanded_alone(serve, upstream, authority):
    config = protected(upstream)
    optional, required = (with_clients(authority, demand) for demand in ("optional", "required"))
    gateway = start(serve, config, optional)
    stranger = Session(gateway, authority)
    assert stranger.get(ALICE)[0] == 200
    assert reload(gateway, config, required) == ["~server: tls.client_certificates"]
    known = Session(gateway, authority, client=authority.issue("known"))
    assert known.get(ALICE)[0] == 200
    for session in (lambda: stranger, lambda: Session(gateway, authority)):
        try:
            assert session().get(ALICE)[0] == 421
        except (ConnectionError, ssl.SSLError):
            pass
    assert reload(gateway, config, optional) == ["~server: tls.client_certificates"]
    assert Session(gateway, authority).get(ALICE)[0] == 200


HUB = '[authenticators.hub]\nplugin = "simple"\n'
APP = '[upstreams.app]\nservers = [{}]\n[[routes]]\npath = "/app"\nauthenticators = ["hub"]\nupstream = "app"\n'


def series(gateway):
    """The lines of `/metrics`, without comments."""
    lines = send(gateway.admin_url, "/metrics").body.decode().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def with_label(gateway, label, value):
    return [line for line in series(gateway) if f'{label}="{value}"' in line]


def test_what_is_gone_has_no_series(serve, upstream):
    base = PEOPLE + route(upstream, "people")
    server, other = f'"{upstream.url}"', "127.0.0.1:1"
    config = base + HUB + APP.format(f'{server}, "http://{other}"')
    gateway = start(serve, config)
    labels = [("authenticator", "hub"), ("route", "/app"), ("upstream", "app")]
    for _ in range(4):
        gateway.send("/app", ALICE)
    gateway.send("/", ALICE)
    for label, name in labels:
        assert with_label(gateway, label, name), label
    counted = gateway.metric("portcullis_authenticator_calls_total", authenticator="hub", verdict="grant")
    assert with_label(gateway, "server", other)

    assert reload(gateway, base + HUB + APP.format(server)) == ["~upstream app: servers"]
    assert not with_label(gateway, "server", other)
    assert with_label(gateway, "upstream", "app")

    reload(gateway, base)
    for label, name in labels:
        assert not with_label(gateway, label, name), label
    for label, name in [("authenticator", "people"), ("route", "/"), ("outcome", "applied")]:
        assert with_label(gateway, label, name), label
    assert gateway.send("/app", ALICE).status == 200

    reload(gateway, config)
    gateway.send("/app", ALICE)
    assert gateway.metric("portcullis_authenticator_calls_total", authenticator="hub", verdict="grant") >= counted


def test_two_gateways_share_a_cache_through_reloads(serve, upstream, scripted_component, prober_component, tmp_path):
    """Each compiles or takes what the other has compiled, and neither sees a half of it."""
    cache = f'[plugins]\ncache_directory = "{tmp_path}/cache"\n'
    plugins = [tmp_path / name for name in ("one.wasm", "two.wasm")]
    gateways = []
    for plugin in plugins:
        shutil.copy(prober_component, plugin)
        guest = GUEST.format(plugin=plugin, server="http://127.0.0.1:1")
        gateways.append(start(serve, cache + guest + route(upstream, "guest")))
    compiled = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert compiled
    grants = {"Authorization": "Script grant"}
    for turn in range(4):
        component, status = [(scripted_component, 200), (prober_component, 503)][turn % 2]
        for plugin in plugins:
            replace(plugin, component)
        for gateway in gateways:
            assert reload(gateway) == ["~authenticator guest: component"]
        assert [gateway.send("/", grants).status for gateway in gateways] == [status] * 2
    # What somebody damages is compiled anew.
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:100])
    for gateway, plugin in zip(gateways, plugins, strict=True):
        replace(plugin, scripted_component)
        assert reload(gateway) == ["~authenticator guest: component"]
        assert gateway.send("/", grants).status == 200


def test_a_plugin_that_hostile_ones_replace_goes_on(serve, upstream, scripted_component, tmp_path):
    """Under load, in its own place."""
    plugin = tmp_path / "guest.wasm"
    replace(plugin, scripted_component)
    guest = GUEST.format(plugin=plugin, server="http://127.0.0.1:1")
    limits = '[authenticators.guest.limits]\ndeadline = "1s"\nmemory = "16MiB"\n'
    config = guest + limits + PEOPLE + route(upstream, "people") + route(upstream, "guest", path="/guest")
    gateway = start(serve, config)
    assert gateway.send("/guest", BOTH).status == 200
    crowd = Crowd(gateway, 2)
    hostile = {name: raw_plugins.component(**parts).read_bytes() for name, (_, parts) in BAD.items() if parts is not None}
    for name, content in [*hostile.items(), *((name, broken(name)) for name in TEXTS)]:
        (tmp_path / "next").write_bytes(content)
        (tmp_path / "next").rename(plugin)
        said = refused(gateway)
        assert "authenticators.guest" in said, name
    replace(plugin, scripted_component)
    assert reload(gateway) == []
    counts = crowd.stop()
    assert set(counts) == {200}, counts


SELF_TEST = """{{ "name": "scripted", "self_test": [{{
    "name": "a grant", "request": {{ "headers": {{ "Authorization": "Script grant" }} }}, "expect": {{ "verdict": "{}" }}
}}] }}"""


def test_a_version_that_fails_its_own_test_changes_a_metric_and_the_log_alone(
    serve, upstream, scripted_component, tmp_path
):
    plugins = tmp_path / "plugins"
    plugins.mkdir()

    def put(verdict):
        beside, manifest = tmp_path / "extra.wasm", tmp_path / "manifest.json"
        shutil.copy(scripted_component, beside)
        manifest.write_text(SELF_TEST.format(verdict))
        done = run("plugin", "manifest", beside, manifest, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        beside.rename(plugins / "extra.wasm")

    put("grant")
    config = f'[plugins]\ndirectory = "{plugins}"\n' + route(upstream, "extra")
    gateway = start(serve, config)
    grants = {"Authorization": "Script grant"}
    assert gateway.send("/", grants).status == 200
    put("reject")
    said = refused(gateway)
    assert 'its self-test "a grant" fails: verdict: expected reject, found grant' in said
    assert gateway.send("/", grants).status == 200
    assert gateway.metric("portcullis_config_last_reload_successful") == 0
    put("grant")
    reload(gateway)
    assert gateway.metric("portcullis_config_last_reload_successful") == 1

    # At the start it is disabled, and everything else works.
    put("reject")
    other = serve(ADMIN + config + whoami(path="/open"))
    assert (other.send("/", grants).status, other.send("/open").status) == (503, 200)
    assert other.metric("portcullis_authenticator_disabled", authenticator="extra") == 1
    [line] = [line for line in other.log() if "so extra is disabled" in line["message"]]
    assert line["level"] == "ERROR"
    put("grant")
    reload(other)
    assert other.send("/", grants).status == 200
