"""The dashboard and the alerts of `deploy/`: every query is run against a real Prometheus that watches gateways to which everything
happens that an operator wants to see.
"""

import contextlib
import json
import math
import re
import secrets
import sys
from types import SimpleNamespace

import pytest
import yaml
from test_failures_system import address, with_a_pipe
from test_passthrough import hello
from test_session_ends import revoke

from harness import build
from harness.browser import BEHIND_PROXY, LOGIN, Browser, login
from harness.client import ALICE, basic, open_tcp, send
from harness.config import PEOPLE, protected, route, whoami
from harness.fetch_server import FetchServer
from harness.gateway import ADMIN
from harness.hostile import instruct
from harness.kerberos import acceptor, ask, authenticator
from harness.paths import PEERS, ROOT
from harness.process import Unreachable, eventually
from harness.prometheus import DEPLOY, JOB, Prometheus, names, promtool
from harness.redis import Redis
from harness.reload import folder, put, refused, reload

DASHBOARD = json.loads((ROOT / "deploy/grafana/portcullis.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['id']} {panel['title']} {target['refId']}": target for panel in PANELS for target in panel["targets"]}
EXPRESSIONS = [target["expr"] for target in QUERIES.values()]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
ANNOTATIONS = {each["name"]: each["expr"] for each in DASHBOARD["annotations"]["list"] if "expr" in each}
ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]

TOKEN = secrets.token_hex(32)
PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.1 4711 443\r\n"


# What needs no Prometheus


def test_every_metric_of_dashboard_and_alerts_is_documented():
    listed = re.findall(r"(?m)^\| `((?:portcullis|process)_[a-z_]+)` \|", (ROOT / "docs/metrics.md").read_text())
    used = set().union(*map(names, [*EXPRESSIONS, *(alert["expr"] for alert in ALERTS), *ANNOTATIONS.values()]))
    assert used - set(listed) == set()
    # The dashboard shows all that there is.
    assert set(listed) - set().union(*map(names, EXPRESSIONS)) == set()


UNITS = {"bytes", "none", "ops", "percentunit", "reqps", "s", "short"}


def test_the_dashboard_is_whole():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            # A series of other jobs and instances would be somebody else's.
            assert len(re.findall(r"\b(?:portcullis|process)_[a-z_]+|\bup\b", target["expr"])) == target["expr"].count('{job=~"$job", instance=~"$instance"')
            assert set(re.findall(r"\$\{?(\w+)", target["expr"])) <= {*VARIABLES, "__rate_interval"}


def test_the_rules_and_the_example_are_valid():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


def test_the_commands_of_the_page_say_what_it_shows():
    page = (ROOT / "docs/operations.md").read_text()
    shown = re.findall(r"(?m)^    \$ (promtool (?:check|test) .+)\n((?:    .+\n)+)", page)
    assert len(shown) == 2
    for command, output in shown:
        said = promtool(*command.split()[1:], folder=ROOT)
        assert said.split() == output.split(), command


def test_each_alert_fires_and_does_not():
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    tests = yaml.safe_load((DEPLOY / "alerts_test.yml").read_text())["tests"]
    for alert in ALERTS:
        about = [test for test in tests if fires(test, alert["alert"])]
        assert about, f"{alert['alert']} has no test in which it fires"
        for test in about:
            assert any(not each["exp_samples"] for each in test["promql_expr_test"]), f"{test['name']} has no moment of calm"


def fires(test, alert):
    samples = [sample for each in test["promql_expr_test"] for sample in each["exp_samples"]]
    return any(f'alertname="{alert}"' in sample["labels"] for sample in samples)


# What happens to the gateways


@pytest.fixture(scope="module")
def closed():
    """A server that refuses every connection."""
    server = Unreachable()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def fetched():
    server = FetchServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def busy(serve_module, shared_upstream, closed, fetched, redis, keytab, tmp_path_factory, hostile_component, fetcher_component, judge):
    """A gateway with everything that can fail, its configuration, and a server that one of its plugins may ask."""
    helper = tmp_path_factory.mktemp("helper") / "helper"
    helper.write_text(f"#!{sys.executable}\n" + (PEERS / "negotiate_helper.py").read_text())
    helper.chmod(0o700)
    config = f"""
token = "env:TOKEN"
[session]
keys = ["env:KEY"]
peers = ["{closed.url}"]
[shared_state]
url = "{redis.url}"
{LOGIN}
{login(build.guest_component("scripted"))}
{PEOPLE}
limits.rate = "1000/s"
{acceptor(keytab, helper=helper)}
{authenticator()}
[authenticators.hostile]
plugin = "{hostile_component}"
instances = {{ keep = 2, requests = 1000, age = "1h" }}
grants.headers = ["x-do"]
limits.deadline = "2s"
[authenticators.fetcher]
plugin = "{fetcher_component}"
grants = {{ headers = ["x-url"], http = ["{fetched.url}"] }}
[authorizers.judge]
plugin = "{judge}"
settings = {{ header = "X-Judge" }}
instances = {{ keep = 2, requests = 1000, age = "1h" }}
grants.headers = ["X-Judge"]
[telemetry]
endpoint = "{closed.url}"
queue = 1
metrics = "1s"
[audit]
file = "{helper.parent}/audit.jsonl"
[upstreams.dead]
servers = ["{closed.url}"]
health = {{ path = "/", interval = "1s" }}
[upstreams.half]
servers = ["{shared_upstream.url}", "{closed.url}"]
"""
    config += route(shared_upstream, "people") + route(shared_upstream, "scripted", path="/in")
    config += route(shared_upstream, "scripted", path="/websocket") + route(shared_upstream, "kerberos", path="/kerberos")
    config += route(shared_upstream, "hostile", path="/hostile") + whoami("fetcher", path="/fetched")
    config += route(shared_upstream, "people", path="/judged", more='authorizers = ["judge"]')
    config += route(shared_upstream, "people", path="/owned", more='authorize_with = "GET /status/{1}"')
    config += route(shared_upstream, path="/open", more="public = true")
    for name in ("dead", "half"):
        config += f'[[routes]]\npath = "/{name}"\nupstream = "{name}"\nauthenticators = ["people"]\n'
    gateway = serve_module(ADMIN + config, server=BEHIND_PROXY, KEY=secrets.token_hex(32), TOKEN=TOKEN)
    return SimpleNamespace(gateway=gateway, config=config, fetched=f"{fetched.url}/?Cache-Control=max-age%3D60")


@pytest.fixture(scope="module")
def outer(serve_module, shared_upstream, authority, closed):
    """A gateway behind a proxy that speaks the PROXY protocol, with TLS, and with connections that it passes on."""
    cert, key = authority.issue("outer")
    server = f"""trusted_proxies = ["127.0.0.1"]
proxy_protocol = true
[server.tls]
cert = "{cert}"
key = "{key}"
[[server.passthrough]]
sni = "passed.test"
upstream = "{closed.address}"
"""
    return serve_module(ADMIN + protected(shared_upstream), server=server)


def happen(busy, outer, mute):
    """Once each of what an operator wants to see."""
    gateway = busy.gateway
    for path in ("/", "/open", "/half", "/dead", "/owned/200", "/owned/403", "/judged"):
        gateway.send(path, ALICE | {"X-Judge": "permit 0"})
    cookies = gateway.send("/", basic("carol")).set_cookies()
    [(name, value)] = cookies.items()
    assert gateway.send("/", {"Cookie": f"{name}={value}"}).status == 200
    assert gateway.send("/", {"Cookie": f"{name}={value[:-4]}AAAA"}).status == 401
    assert gateway.send("/", {"Cookie": f"{name}={value}"}, method="TRACE").status == 405
    for script in ("forbid", "panic"):
        gateway.send("/judged", ALICE | {"X-Judge": script})
    for _ in range(8):
        assert gateway.send("/hostile", instruct("panic")).status == 503
        gateway.send("/hostile", instruct("count"))
    gateway.send("/fetched", {"X-Url": busy.fetched})
    for token in (b"bob", b"crash"):
        ask(gateway, token, target="/kerberos")
    with open_tcp(gateway.addresses()[0]) as wire:
        wire.sendall(b"no head\r\n\r\n")
        wire.recv(1000)
    browser = Browser(gateway)
    browser.log_in("/in", do="arrive-for 1 alice arrive-for,60,alice,x")
    eventually(lambda: gateway.logged(message="decision", session_renewal="renewed") or not browser.open("/in"), "a session is renewed")
    with browser.websocket():
        assert revoke(gateway, {"user": "alice"}, TOKEN).status == 200
        eventually(lambda: gateway.metric("portcullis_session_connections_ended_total"), "its WebSocket is closed")
    refused(gateway, busy.config + "[[[", server=BEHIND_PROXY)
    reload(gateway, busy.config, server=BEHIND_PROXY)

    [place] = outer.addresses()
    for begin in (b"GET / HTTP/1.1\r\n\r\n", PROXY + b"GET / HTTP/1.1\r\n\r\n", PROXY + hello("passed.test")):
        with open_tcp(place) as wire, contextlib.suppress(ConnectionResetError):
            wire.sendall(begin)
            wire.settimeout(20)
            while wire.recv(1000):
                pass
    send(mute, "/", ALICE)


@pytest.fixture(scope="module")
def prometheus(busy, outer, shared_upstream, tmp_path_factory):
    """Prometheus, after everything has happened twice: what counts for the first time when it happens has no rate before."""
    with with_a_pipe(tmp_path_factory.mktemp("mute"), ADMIN + protected(shared_upstream)) as (_, url, log):
        [admin] = [address(line) for line in log.begun if b"admin listening" in line]
        log.pipe.close()
        running = Prometheus(tmp_path_factory.mktemp("prometheus"), [busy.gateway.admin_url, outer.admin_url, admin])
        for _ in range(2):
            happen(busy, outer, url)
            running.wait_for_scrapes()
        break_down(busy.gateway)
        for _ in range(2):
            running.wait_for_scrapes()
        yield running
        running.stop()


def break_down(gateway):
    """What isn't repaired: a configuration that can't be used, and a state folder that can't be written."""
    put(folder(gateway) / "portcullis.toml", "[[[")
    state = folder(gateway) / "state"
    state.rename(folder(gateway) / "away")
    state.touch()
    for metric, value in (("portcullis_config_last_reload_successful", 0), ("portcullis_session_revocations_unsaved_total", 1)):
        eventually(lambda: gateway.metric(metric) == value, metric)  # noqa: B023


def filled(expression, prometheus):
    """An expression of the dashboard, as Grafana sends it when all gateways are chosen."""
    instances = "|".join(instance.replace(".", "\\\\.") for instance in prometheus.instances)
    values = {"job": JOB, "instance": f"({instances})", "__rate_interval": "5m"}
    return re.sub(r"\$\{?(\w+)\}?", lambda variable: values[variable[1]], expression)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_of_the_dashboard_returns_data(prometheus, name):
    samples = prometheus.query(filled(QUERIES[name]["expr"], prometheus))
    assert samples and any(math.isfinite(value) for _, value in samples), samples
    labels = set(re.findall(r"\{\{(\w+)\}\}", QUERIES[name]["legendFormat"]))
    assert all(labels & set(metric) for metric, _ in samples) or not labels, "the legend would be empty"


@pytest.mark.parametrize("name", ["job", "instance"])
def test_the_variables_of_the_dashboard_have_values(prometheus, name):
    series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[name]["query"]["query"]).groups()
    found = {metric[label] for metric, _ in prometheus.query(filled(series, prometheus))}
    assert found == ({JOB} if name == "job" else set(prometheus.instances))


def test_a_reload_is_marked_in_the_dashboard(prometheus):
    [expression] = ANNOTATIONS.values()
    assert prometheus.query(filled(expression.replace("[1m]", "[5m]"), prometheus))


EXPECTED = {
    "PortcullisCertificateExpires": "outer.pem",
    "PortcullisCertificateExpiresNow": "outer.pem",
    "PortcullisLogLinesLost": "127.0.0.1",
    "PortcullisPluginFails": "hostile",
    "PortcullisReloadFailed": "127.0.0.1",
    "PortcullisRequestsFail": "/dead",
    "PortcullisRevocationsUnsaved": "127.0.0.1",
    "PortcullisServerUnhealthy": "dead",
    "PortcullisUpstreamDown": "dead",
}
"""Alerts that are due here, and what each has to name."""


def test_alerts_name_what_they_are_about(prometheus):
    alerts = eventually(lambda: all_of(EXPECTED, prometheus.alerts()), "all of them")
    for alert in alerts:
        text = " ".join(alert["annotations"].values())
        assert "<error" not in text and "<no value>" not in text, text
    for name, subject in EXPECTED.items():
        assert any(subject in alert["annotations"]["summary"] for alert in alerts if alert["labels"]["alertname"] == name), name


def all_of(names, alerts):
    found = {alert["labels"]["alertname"] for alert in alerts}
    return alerts if set(names) <= found else None
