"""Traces of what fronts ask: the question is a span, with the same phases as a request to the gateway itself, in the front's trace."""

import http.client
import ssl

import pytest
from test_telemetry import SAMPLED, TRACE, tree

from harness import fronts
from harness.check import METHOD, check
from harness.client import ALICE, send
from harness.config import PEOPLE
from harness.fronts import subrequest
from harness.process import eventually

OTHER = "1af7651916cd43dd8448eb211c80319c"
SECTIONS = '[forward_auth]\nlisten = "127.0.0.1:0"\n[ext_authz]\nlisten = "127.0.0.1:0"\n'
PROXIES = 'trusted_proxies = ["127.0.0.1"]\n'
RPC = {"rpc.system.name": "grpc", "rpc.method": METHOD.removeprefix("/"), "rpc.response.status_code": "OK"}


@pytest.fixture
def routes(judge, upstream):
    """What fronts ask about, with an authorizer on the way."""
    judged = f'[authorizers.judge]\nplugin = "{judge}"\nsettings = {{ header = "X-Judge" }}\ngrants.headers = ["X-Judge"]\n'
    route = '[[routes]]\npath = "/app"\nauthenticators = ["people"]\nauthorizers = ["judge"]\n'
    return PEOPLE + judged + route


def address(gateway, message):
    [line] = gateway.logged(message=message)
    return line["address"]


def over_http(gateway, path, headers):
    asked = subrequest(path) | {"X-Original-URL": f"https://app.example{path}", "X-Original-Method": "GET"} | headers
    return send(f"http://{address(gateway, 'listening for forward-auth')}", "/.portcullis/auth/nginx", asked).status


def over_grpc(gateway, path, headers, metadata=()):
    return check(address(gateway, "listening for ext_authz"), path, headers.items(), metadata=metadata)


def http_attributes(status):
    return {
        "http.request.method": "GET",
        "http.response.status_code": status,
        "http.route": "/.portcullis/auth/nginx",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "url.path": "/.portcullis/auth/nginx",
    }


ASKS = {
    "HTTP": (over_http, "GET /.portcullis/auth/nginx", http_attributes, "https"),
    "gRPC": (over_grpc, METHOD.removeprefix("/"), lambda _: RPC, "http"),
}

VERDICTS = {
    # What the authorizer is told, the status of the verdict, that over HTTP, and what came of the authorization.
    "allowed": ("permit 0", 200, 200, "permit"),
    "forbidden": ("forbid", 403, 403, "forbid"),
    "unavailable": ("panic", 503, 403, "unavailable"),
}


@pytest.mark.parametrize("kind", ASKS)
def test_a_question_is_a_span_with_a_span_for_each_phase(serve, collector, routes, kind):
    ask, name, attributes, scheme = ASKS[kind]
    gateway = serve(collector.section() + SECTIONS + routes, server=PROXIES)
    for case, (script, verdict, status, outcome) in VERDICTS.items():
        path = f"/app/{case}"
        headers = ALICE | {"X-Judge": script, "traceparent": SAMPLED, "tracestate": "vendor=1", "X-Request-Id": f"mine-{case}"}
        assert ask(gateway, f"{path}?secret=1", headers) == (status if kind == "HTTP" else verdict)
        root, spans = collector.trace(portcullis__original__path=path)
        assert tree(root, spans) == [
            ("authenticate", [("authenticator people", [])]),
            ("authorize", [("authorizer judge", [])]),
        ]
        assert (root.name, root.trace_id, root.parent, root.state) == (name, TRACE, SAMPLED.split("-")[2], "vendor=1")
        assert root.attributes == attributes(status) | {
            "kind": "server",
            "client.address": "192.0.2.1",
            "portcullis.original.host": "app.example",
            "portcullis.original.method": "GET",
            "portcullis.original.path": path,
            "portcullis.original.scheme": scheme,
            "portcullis.request_id": f"mine-{case}",
            "portcullis.route": "/app",
            "portcullis.status": verdict,
        } | ({"error.type": "503"} if verdict == 503 else {})
        assert root.failed == (verdict == 503)
        [authorized] = [span for span in spans if span.name == "authorize" and span.parent == root.id]
        assert authorized.attributes["portcullis.outcome"] == outcome
        for span in [root, *spans]:
            assert "secret" not in str(span.attributes) and "alice" not in str(span.attributes)


@pytest.mark.parametrize("parent", ["trusted", "none"])
def test_the_context_of_a_front_is_continued_as_configured(serve, collector, routes, parent):
    gateway = serve(collector.section(f'parent = "{parent}"') + SECTIONS + routes, server=PROXIES)
    # Envoy's own context is that of its question. The request has the one that its client sent.
    own = SAMPLED.replace(TRACE, OTHER)
    over_grpc(gateway, "/app/a", ALICE | {"traceparent": SAMPLED, "X-Judge": "permit 0"}, metadata=[("traceparent", own)])
    root, _ = collector.trace(portcullis__original__path="/app/a")
    assert (root.trace_id == OTHER, root.links) == ((True, []) if parent == "trusted" else (False, [OTHER]))
    over_http(gateway, "/app/b", ALICE | {"traceparent": SAMPLED, "X-Judge": "permit 0"})
    root, _ = collector.trace(portcullis__original__path="/app/b")
    assert (root.trace_id == TRACE, root.links) == ((True, []) if parent == "trusted" else (False, [TRACE]))


def test_only_a_front_can_have_its_questions_traced(serve, collector, routes):
    gateway = serve(collector.section('parent = "all"') + SECTIONS + routes, server='trusted_proxies = ["192.0.2.7"]\n')
    assert over_http(gateway, "/app", ALICE | {"traceparent": SAMPLED}) == 403
    assert over_grpc(gateway, "/app", ALICE, metadata=[("traceparent", SAMPLED)]) == 403
    assert gateway.send("/last").status == 404
    [root] = collector.spans(kind="server")
    assert root.attributes["url.path"] == "/last"


def test_a_front_that_asks_the_public_listener_and_a_tls_handshake(serve, collector, routes, authority):
    cert, key = authority.issue("asked")
    tls = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n'
    gateway = serve(collector.section() + "[forward_auth]\n" + routes, server=PROXIES + tls)
    [place] = gateway.addresses()
    connection = http.client.HTTPSConnection(place, timeout=20, context=ssl.create_default_context(cafile=authority.ca))
    for path, phases in (("/app/a", ["TLS handshake", "authenticate", "authorize"]), ("/app/b", ["authenticate", "authorize"])):
        connection.request("GET", "/.portcullis/auth/caddy", headers=subrequest(path) | ALICE | {"X-Judge": "permit 0"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        root, spans = collector.trace(portcullis__original__path=path)
        assert root.name == "GET /.portcullis/auth/caddy"
        assert [name for name, _ in tree(root, spans)] == phases
    connection.close()


# Real fronts

TRACING = """
                tracing:
                  provider:
                    name: envoy.tracers.opentelemetry
                    typed_config:
                      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                      service_name: envoy
                      grpc_service: { envoy_grpc: { cluster_name: collector } }
"""
CLUSTER = """
    - name: collector
      connect_timeout: 5s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{ http2_protocol_options: {{}} }}
      load_assignment:
        cluster_name: collector
        endpoints:
          - lb_endpoints:
              - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"""
AT_ONCE = """
layered_runtime:
  layers:
    - name: tests
      static_layer: { tracing.opentelemetry.min_flush_spans: 1 }
"""


@pytest.mark.parametrize("name", fronts.ENVOYS)
def test_a_question_of_envoy_is_in_its_trace(tmp_path, collector, upstream, name):
    port = collector.url.rpartition(":")[2]

    def traced(text):
        begin = "                stat_prefix: app\n"
        assert begin in text
        return text.replace(begin, begin + TRACING.lstrip("\n")) + CLUSTER.format(port=port) + AT_ONCE

    gateway = fronts.FrontGateway(tmp_path, collector.section())
    front = fronts.Front(name, tmp_path, gateway, upstream, change=traced)
    try:
        assert front.send("/page", ALICE).status == 200
        [root] = collector.spans(portcullis__original__path="/page")

        def in_envoy():
            spans = [span for span in collector.spans() if span.trace_id == root.trace_id]
            found = {span.id: span for span in spans if span.resource["service.name"] == "envoy"}
            return found if root.parent in found and len(found) > 1 else None

        envoys = eventually(in_envoy, "Envoy's own spans")
        question = envoys[root.parent]
        assert question.attributes["kind"] == "client" and envoys[question.parent].attributes["kind"] == "server"
    finally:
        front.stop()
        gateway.stop()


def test_a_question_of_nginx_is_in_the_trace_of_the_request(tmp_path, collector, upstream):
    gateway = fronts.FrontGateway(tmp_path, collector.section())
    front = fronts.Front("nginx", tmp_path, gateway, upstream)
    try:
        assert front.send("/page", ALICE | {"traceparent": SAMPLED}).status == 200
        root, _ = collector.trace()
        assert (root.name, root.trace_id) == ("GET /.portcullis/auth/nginx", TRACE)
        assert root.attributes["portcullis.original.path"] == "/page"
    finally:
        front.stop()
        gateway.stop()
