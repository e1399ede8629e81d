"""Traces by OpenTelemetry: the spans of a request, the context that comes and goes on, what is sampled, and a collector that is away."""

import os
import re
import signal
import ssl
import sys
import time

import grpc
import pytest

from harness.client import ALICE, send
from harness.config import PEOPLE, SESSION, protected, route, upstream as several, whoami
from harness.gateway import ADMIN, run
from harness.paths import ROOT
from harness.process import Child, eventually
from harness.upstream import values

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED, UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7-00"
TRUSTING = 'trusted_proxies = ["127.0.0.1"]\n'
KEY = "00112233445566778899aabbccddeeff" * 2


def tree(root, spans):
    """The names of spans below the names of their parents, in the order of their beginning."""
    below = sorted((span for span in spans if span.parent == root.id), key=lambda span: span.began)
    return [(span.name, tree(span, spans)) for span in below]


def sent_on(answer):
    """The context that the upstream has got."""
    [parent] = values(answer.json(), "traceparent")
    return parent.split("-")


# The spans of a request


def test_a_request_has_a_span_for_each_phase(serve, upstream, collector, judge, hostile_component, authority):
    cert, key = authority.issue("traced")
    judged = f'[authorizers.judge]\nplugin = "{judge}"\nsettings = {{ header = "X-Judge" }}\ngrants.headers = ["X-Judge"]\n'
    checked = 'authorizers = ["judge"]\nauthorize_with = "GET /status/{1}"\n'
    config = PEOPLE + f'[authenticators.tokens]\nplugin = "{hostile_component}"\ngrants.headers = ["x-do"]\n' + judged
    config += route(upstream, "tokens", "people", path="/owned", more=checked)
    server = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n'
    gateway = serve(collector.section() + config, server=server)
    [address] = gateway.addresses()
    context = ssl.create_default_context(cafile=authority.ca)
    headers = ALICE | {"X-Judge": "permit 0", "User-Agent": "tests/1", "X-Request-Id": "mine"}
    answer = send(f"https://{address}", "/owned/200/page?secret=1", headers, context=context)
    assert answer.status == 200
    root, spans = collector.trace()
    assert tree(root, spans) == [
        ("TLS handshake", []),
        ("authenticate", [("authenticator tokens", []), ("authenticator people", [])]),
        ("authorize", [("authorizer judge", [])]),
        ("authorize", []),
        ("GET", []),
    ]
    host, _, port = address.partition(":")
    assert root.name == "GET /owned" and not root.failed and not root.links and root.parent == ""
    assert root.attributes == {
        "kind": "server",
        "client.address": "127.0.0.1",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/owned",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "portcullis.request_id": answer.header("x-request-id"),
        "portcullis.route": "/owned",
        "server.address": host,
        "server.port": int(port),
        "url.path": "/owned/200/page",
        "url.scheme": "https",
        "user_agent.original": "tests/1",
    }
    assert root.resource["service.name"] == "portcullis" and root.resource["service.version"]
    named = {span.name: span for span in spans}
    assert named["authenticate"].attributes["portcullis.outcome"] == "grant"
    assert named["authenticator people"].attributes == {
        "kind": "internal",
        "portcullis.plugin.role": "authenticator",
        "portcullis.plugin.name": "people",
        "portcullis.plugin.verdict": "grant",
        "portcullis.plugin.reused": False,
    }
    assert named["authorizer judge"].attributes["portcullis.plugin.verdict"] == "permit"
    [asked] = [span for span in spans if span.attributes.get("portcullis.decided_by") == "upstream"]
    assert asked.attributes["portcullis.outcome"] == "allow"
    client = named["GET"].attributes
    assert (client["kind"], client["http.request.method"], client["http.response.status_code"]) == ("client", "GET", 200)
    assert f"http://{client['server.address']}:{client['server.port']}" == upstream.url
    for span in spans:
        assert "secret" not in str(span.attributes) and "alice" not in str(span.attributes) and span.began <= span.ended
    assert sent_on(answer)[1:3] == [root.trace_id, named["GET"].id]


def test_a_session_and_the_next_request_of_a_connection(serve, upstream, collector):
    gateway = serve(collector.section() + SESSION + protected(upstream), KEY=KEY)
    [(name, value)] = gateway.send("/", ALICE).set_cookies().items()
    assert gateway.send("/in", {"Cookie": f"{name}={value}"}).status == 200
    root, spans = collector.trace(url__path="/in")
    assert tree(root, spans) == [("authenticate", []), ("GET", [])]
    [decided] = [span for span in spans if span.name == "authenticate"]
    assert decided.attributes["portcullis.decided_by"] == "session"


def test_what_fails_is_an_error(serve, upstream, collector, unreachable, tmp_path, hostile_component):
    hostile = f'[authenticators.hostile]\nplugin = "{hostile_component}"\ngrants.headers = ["x-do"]\n'
    config = several(unreachable()) + hostile + route(upstream, "hostile", path="/hostile")
    gateway = serve(collector.section() + config)
    for path, headers, status, failed in [
        ("/", ALICE, 502, {"GET": "failed", "GET /": "502"}),
        ("/hostile", {"X-Do": "panic"}, 503, {"authenticator hostile": "fail", "GET /hostile": "503"}),
        ("/refused", {}, 401, {}),
    ]:
        assert gateway.send(path, headers).status == status
        root, spans = collector.trace(url__path=path)
        errors = {span.name: span.attributes["error.type"] for span in [root, *spans] if span.failed}
        assert errors == failed, path


def test_methods_and_paths_that_clients_invent_make_no_names(serve, upstream, collector):
    gateway = serve(collector.section() + whoami(path="/there"))
    assert gateway.send("/nowhere" + "x" * 2000, method="BREW").status == 404
    root, _ = collector.trace()
    assert (root.name, root.attributes["http.request.method"], root.attributes["http.request.method_original"]) == ("_OTHER", "_OTHER", "BREW")
    assert "http.route" not in root.attributes and len(root.attributes["url.path"]) == 512


# The context


PARENTS = {
    # Who sends it, and which parents are continued: is it the same trace, is it sampled, and does the state go on?
    "a client": ("", "trusted", SAMPLED, (False, True)),
    "a proxy": (TRUSTING, "trusted", SAMPLED, (True, True)),
    "a proxy that samples nothing": (TRUSTING, "trusted", UNSAMPLED, (True, False)),
    "a proxy, and no parent counts": (TRUSTING, "none", SAMPLED, (False, True)),
    "a client, and every parent counts": ("", "all", UNSAMPLED, (True, False)),
    "a client with something else": ("", "all", "00-nonsense", (False, True)),
}


@pytest.mark.parametrize("case", PARENTS)
def test_a_parent_is_continued_as_configured(serve, upstream, collector, case):
    server, parent, sent, (is_same, is_sampled) = PARENTS[case]
    gateway = serve(collector.section(f'parent = "{parent}"') + protected(upstream), server=server)
    answer = gateway.send("/it", ALICE | {"traceparent": sent, "tracestate": "vendor=1"})
    _, trace, span, flags = sent_on(answer)
    assert (trace == TRACE, flags) == (is_same, "01" if is_sampled else "00")
    assert span not in sent
    assert values(answer.json(), "tracestate") == (["vendor=1"] if is_same else [])
    assert gateway.send("/end", ALICE).status == 200
    collector.spans(kind="server", url__path="/end")
    found = [span for span in collector.spans(kind="server") if span.attributes["url.path"] == "/it"]
    assert len(found) == is_sampled
    if found and is_same:
        assert (found[0].parent, found[0].links) == (sent.split("-")[2], [])
    elif found:
        assert (found[0].parent, found[0].links) == ("", [TRACE] if sent == SAMPLED else [])


def test_without_telemetry_the_context_goes_on_unchanged(serve, upstream):
    answer = serve(protected(upstream)).send("/", ALICE | {"traceparent": SAMPLED, "tracestate": "vendor=1"})
    assert (values(answer.json(), "traceparent"), values(answer.json(), "tracestate")) == ([SAMPLED], ["vendor=1"])


# Sampling


@pytest.mark.parametrize("sampling, least, most", [("0.0", 0, 0), ("0.2", 10, 80), ("1", 200, 200)])
def test_a_share_of_traces_is_sampled(serve, upstream, collector, sampling, least, most):
    gateway = serve(collector.section(f"sampling = {sampling}\nmax_traces = 100000") + protected(upstream))
    flags = [sent_on(gateway.send("/", ALICE))[3] for _ in range(200)]
    assert least <= flags.count("01") <= most and len(flags) == 200


def test_nobody_can_have_everything_traced(serve, upstream, collector):
    gateway = serve(collector.section('parent = "all"\nsampling = 0.0\nmax_traces = 3') + protected(upstream))
    began = time.monotonic()
    flags = [sent_on(gateway.send("/", ALICE | {"traceparent": SAMPLED}))[3] for _ in range(200)]
    assert flags[:3] == ["01"] * 3
    assert flags.count("01") <= 3 * (time.monotonic() - began + 1)


# The collector


def test_protobuf_over_http_with_secrets(serve, upstream, collectors, tmp_path):
    collector = collectors("http/protobuf")
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("first\n")
    headers = f'headers = {{ Authorization = "Bearer file:{secret}", X-Tenant = "env:TENANT" }}'
    gateway = serve(collector.section(headers) + protected(upstream), TENANT="blue")
    assert gateway.send("/", ALICE).status == 200
    collector.spans(kind="server")
    assert collector.received[0]["authorization"] == "Bearer first" and collector.received[0]["x-tenant"] == "blue"
    secret.write_text("second\n")
    # Each request makes a message, until one has the new secret.
    eventually(lambda: gateway.send("/", ALICE) and collector.received[-1]["authorization"] == "Bearer second", "the new secret is sent")
    assert "second" not in gateway.child.output() and "blue" not in gateway.child.output()


def test_grpc_with_tls(serve, upstream, collectors, authority):
    collector = collectors(files=authority.issue("collector"))
    gateway = serve(collector.section(f'ca = "{authority.ca}"') + protected(upstream))
    assert gateway.send("/", ALICE).status == 200
    collector.spans(kind="server")


def dropped(gateway):
    return gateway.metric("portcullis_telemetry_spans_total", outcome="dropped") or 0


def told(gateway):
    return [line["message"] for line in gateway.log() if "spans" in line["message"] and line["message"] != "traces are sent"]


def test_a_collector_that_is_busy_gets_the_spans_later(serve, upstream, collector):
    collector.say = grpc.StatusCode.UNAVAILABLE
    gateway = serve(ADMIN + collector.section() + protected(upstream))
    assert gateway.send("/", ALICE).status == 200
    eventually(lambda: len(collector.received) >= 2, "it is tried again")
    collector.say = 0
    sent = lambda: gateway.metric("portcullis_telemetry_spans_total", outcome="sent")  # noqa: E731
    assert eventually(sent, "they are taken") == 4 and dropped(gateway) == 0 and told(gateway) == []


REJECTED = {
    # What the collector says, by which protocol, and how many of the four spans are lost.
    "all of them, because of the message": (grpc.StatusCode.INVALID_ARGUMENT, "grpc", 4),
    "all of them over HTTP": (400, "http/protobuf", 4),
    "one of them": (1, "grpc", 1),
}


@pytest.mark.parametrize("case", REJECTED)
def test_spans_that_are_rejected_are_not_sent_again(serve, upstream, collectors, case):
    say, protocol, lost = REJECTED[case]
    collector = collectors(protocol)
    collector.say = say
    gateway = serve(ADMIN + collector.section() + protected(upstream))
    assert gateway.send("/", ALICE).status == 200
    assert eventually(lambda: dropped(gateway), "they are counted") == lost
    assert len(collector.received) == 1 and len(told(gateway)) == 1


def test_a_collector_that_is_gone_delays_no_request(serve, upstream, unreachable):
    section = f'[telemetry]\nendpoint = "{unreachable().url}"\nqueue = 5\n'
    gateway = serve(ADMIN + section + protected(upstream))
    is_served = lambda: gateway.send("/", ALICE).status == 200  # noqa: E731
    assert eventually(lambda: not is_served() or dropped(gateway), "what the queue has no room for is lost")
    assert all(is_served() for _ in range(50))
    assert len(told(gateway)) == 1 and "dropped" in told(gateway)[0]


RUN = """
import time
from harness.collector import Collector
print(Collector().url, flush=True)
time.sleep(3600)
"""


def test_a_collector_that_hangs_delays_no_request_and_no_end(serve, upstream, tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests/e2e"), *sys.path])}
    collector = Child([sys.executable, "-c", RUN], tmp_path / "collector.log", env=environment)
    url = collector.wait_until(lambda: re.search(r"(?m)^http://\S+$", collector.output()), "its address")[0]
    section = f'[telemetry]\nendpoint = "{url}"\nqueue = 5\ntimeout = "100ms"\nmetrics = "1s"\n'
    gateway = serve(ADMIN + section + protected(upstream))
    assert gateway.send("/", ALICE).status == 200
    sent = lambda: gateway.metric("portcullis_telemetry_spans_total", outcome="sent") or 0  # noqa: E731
    eventually(sent, "it takes spans")
    collector.signal(signal.SIGSTOP)
    is_served = lambda: gateway.send("/", ALICE).status == 200  # noqa: E731
    assert eventually(lambda: not is_served() or dropped(gateway), "spans are lost")
    assert all(is_served() for _ in range(50))
    assert [("dropped" in line) for line in told(gateway)] == [True]
    collector.signal(signal.SIGCONT)
    before = sent()
    eventually(lambda: gateway.send("/", ALICE) and sent() > before, "it takes spans again", seconds=40)
    assert told(gateway)[-1] == "the collector takes spans again"
    collector.signal(signal.SIGSTOP)
    assert gateway.send("/", ALICE).status == 200
    gateway.stop()
    collector.kill()


def test_what_waits_is_sent_at_the_end(serve, upstream, collector):
    gateway = serve(collector.section() + protected(upstream))
    assert gateway.send("/last", ALICE).status == 200
    gateway.stop()
    collector.spans(kind="server", url__path="/last")


# The configuration


MISTAKES = {
    'protocol = "grpc"': "endpoint",
    'endpoint = "127.0.0.1:4317"': "a URL such as",
    'endpoint = "http://user:password@host"': "a URL such as",
    'endpoint = "http://127.0.0.1:4317/path"': "gRPC has no path",
    'endpoint = "http://a"\nprotocol = "http/json"': "http/protobuf",
    'endpoint = "http://a"\nsampling = 1.1': "from 0 to 1",
    'endpoint = "http://a"\nsampling = "all"': "from 0 to 1",
    'endpoint = "http://a"\nqueue = 0': "must be 1 to",
    'endpoint = "http://a"\nmax_traces = 0': "must be 1 to",
    'endpoint = "http://a"\nparent = "some"': "trusted",
    'endpoint = "http://a"\nheaders = { key = "in the open" }': "file:PATH",
    'endpoint = "http://a"\ntimeout = "0s"': "must be",
    'endpoint = "http://a"\nservice_name = ""': "1 to 255",
    'endpoint = "http://a"\nsample = 0.1': "sampling",
    'endpoint = "http://a"\ntraces = false': "leaves nothing to send",
    'endpoint = "http://a"\ntraces = false\nmetrics = "1m"\nsampling = 0.1': "has no effect with traces = false",
    'endpoint = "http://a"\nmetrics = "10ms"': "must be 1s to 1h",
    'endpoint = "http://a"\nmetrics = true': "duration",
}


@pytest.mark.parametrize("lines, said", MISTAKES.items())
def test_mistakes_are_reported(tmp_path, upstream, lines, said):
    done = run("check", folder=tmp_path, config=f"[telemetry]\n{lines}\n" + protected(upstream))
    assert done.returncode == 1 and "telemetry" in done.stderr and said in done.stderr, done.stderr
