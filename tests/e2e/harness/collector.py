"""A collector of OpenTelemetry, which takes spans by gRPC and as Protobuf over HTTP, with the messages of the real library."""

import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

from .process import eventually

KINDS = {1: "internal", 2: "server", 3: "client"}


class Collector:
    """Listens on `url`. `received` has the metadata of each message, and `say` what it answers: how many spans it rejects, or an
    error of gRPC or HTTP."""

    def __init__(self, protocol="grpc", files=None):
        self.received, self.say, self._spans = [], 0, []
        self._lock = threading.Lock()
        self._start = {"grpc": self._grpc, "http/protobuf": self._http}[protocol]
        self.protocol, self._files = protocol, files
        self._start()

    def section(self, more=""):
        """The configuration with which a gateway sends its spans here."""
        return f'[telemetry]\nendpoint = "{self.url}"\nprotocol = "{self.protocol}"\n{more}\n'

    def spans(self, count=1, **attributes):
        """The spans that have come, once there are so many with these attributes (`_` for a dot)."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}

        def found():
            with self._lock:
                matching = [span for span in self._spans if wanted.items() <= span.attributes.items()]
            return matching if len(matching) >= count else None

        return eventually(found, f"{count} spans with {wanted}", seconds=30)

    def trace(self, **attributes):
        """All spans of the one trace whose root has these attributes. Spans of a trace come in one message, or nearly."""
        [root] = [span for span in self.spans(kind="server", **attributes)]
        with self._lock:
            return root, [span for span in self._spans if span.trace_id == root.trace_id and span is not root]

    def _take(self, request, metadata):
        with self._lock:
            self.received.append(metadata)
            for resource in request.resource_spans:
                own = attributes_of(resource.resource)
                self._spans += [Span(span, own) for scope in resource.scope_spans for span in scope.spans]

    def _answer(self):
        response = messages.ExportTraceServiceResponse()
        response.partial_success.rejected_spans = self.say
        return response

    # gRPC

    def _grpc(self):
        collector = self

        class Service(service.TraceServiceServicer):
            def Export(self, request, context):  # noqa: N802
                collector._take(request, dict(context.invocation_metadata()))
                if isinstance(collector.say, grpc.StatusCode):
                    context.abort(collector.say, "as told")
                return collector._answer()

        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        service.add_TraceServiceServicer_to_server(Service(), self._server)
        if self._files:
            certificate, key = (file.read_bytes() for file in self._files)
            port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
            self.url = f"https://127.0.0.1:{port}"
        else:
            self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    # HTTP

    def _http(self):
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert (self.path, self.headers["Content-Type"]) == ("/base/v1/traces", "application/x-protobuf")
                collector._take(messages.ExportTraceServiceRequest.FromString(body), {name.lower(): value for name, value in self.headers.items()})
                failed = collector.say >= 400
                content = b"" if failed else collector._answer().SerializeToString()
                self.send_response(collector.say if failed else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/base"

    def stop(self):
        if self.protocol == "grpc":
            self._server.stop(0).wait(10)
        else:
            self._server.shutdown()
            self._server.server_close()


class Span:
    """A span as the collector has got it. `attributes` include its kind."""

    def __init__(self, span, resource):
        self.name, self.resource = span.name, resource
        self.trace_id, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.attributes = attributes_of(span) | {"kind": KINDS[span.kind]}
        self.began, self.ended = span.start_time_unix_nano, span.end_time_unix_nano
        self.failed, self.state = span.status.code == 2, span.trace_state
        self.links = [link.trace_id.hex() for link in span.links]

    def __repr__(self):
        return f"{self.name} {self.attributes}"


def attributes_of(message):
    def value(any_value):
        return getattr(any_value, any_value.WhichOneof("value"))

    return {pair.key: value(pair.value) for pair in message.attributes}
