"""A collector of OpenTelemetry, which takes spans and metrics by gRPC and as Protobuf over HTTP, with the messages of the real
library."""

import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metric_messages
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metric_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

from .process import eventually

KINDS = {1: "internal", 2: "server", 3: "client"}
CUMULATIVE = 2


class Collector:
    """Listens on `url`. `received` has the metadata of each message, `exports` the metrics of each that has some, and `say` what it
    answers: how many spans or data points it rejects, an error of gRPC or HTTP, or the bytes of a response over HTTP."""

    def __init__(self, protocol="grpc", files=None):
        self.received, self.exports, self.say, self._spans = [], [], 0, []
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

    def export(self, *fits):
        """Metrics that have come and for which each of `fits` holds, the last ones if there are several."""

        def found():
            fitting = [export for export in self.exports if all(fit(export) for fit in fits)]
            return fitting[-1] if fitting else None

        return eventually(found, "an export of metrics", seconds=30)

    def _take_spans(self, request, metadata):
        with self._lock:
            self.received.append(metadata)
            for resource in request.resource_spans:
                own = attributes_of(resource.resource)
                self._spans += [Span(span, own) for scope in resource.scope_spans for span in scope.spans]
        response = messages.ExportTraceServiceResponse()
        if isinstance(self.say, int):
            response.partial_success.rejected_spans = self.say
        return response

    def _take_metrics(self, request, metadata):
        self.received.append(metadata)
        self.exports.append(Export(request))
        response = metric_messages.ExportMetricsServiceResponse()
        if isinstance(self.say, int):
            response.partial_success.rejected_data_points = self.say
        return response

    # gRPC

    def _grpc(self):
        collector = self

        def export(take, request, context):
            response = take(request, dict(context.invocation_metadata()))
            if isinstance(collector.say, grpc.StatusCode):
                context.abort(collector.say, "as told")
            return response

        class Spans(service.TraceServiceServicer):
            def Export(self, request, context):  # noqa: N802
                return export(collector._take_spans, request, context)

        class Metrics(metric_service.MetricsServiceServicer):
            def Export(self, request, context):  # noqa: N802
                return export(collector._take_metrics, request, context)

        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        service.add_TraceServiceServicer_to_server(Spans(), self._server)
        metric_service.add_MetricsServiceServicer_to_server(Metrics(), self._server)
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
                assert self.headers["Content-Type"] == "application/x-protobuf"
                read, take = {
                    "/base/v1/traces": (messages.ExportTraceServiceRequest.FromString, collector._take_spans),
                    "/base/v1/metrics": (metric_messages.ExportMetricsServiceRequest.FromString, collector._take_metrics),
                }[self.path]
                content = take(read(body), {name.lower(): value for name, value in self.headers.items()}).SerializeToString()
                if isinstance(collector.say, bytes):
                    content, status = collector.say, 200
                else:
                    status = collector.say if collector.say >= 400 else 200
                self.send_response(status)
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


class Export:
    """The metrics of one message: a `Point` for each pair of a name and its labels, which are pairs again."""

    def __init__(self, request):
        [resource] = request.resource_metrics
        [scope] = resource.scope_metrics
        self.resource, self.scope = attributes_of(resource.resource), scope.scope.name
        self.points = {
            (metric.name, frozenset(attributes_of(point).items())): Point(metric, point)
            for metric in scope.metrics
            for point in getattr(metric, metric.WhichOneof("data")).data_points
        }

    def value(self, name, **labels):
        """The value of a series, or `None`."""
        point = self.points.get((name, frozenset(labels.items())))
        return point.value if point else None


class Point:
    """A data point, with what is said of its metric. `value` is a number; of a histogram, `(count, sum, {bound: count up to it})`."""

    def __init__(self, metric, point):
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        self.description, self.unit = metric.description, metric.unit
        self.began, self.time = point.start_time_unix_nano, point.time_unix_nano
        self.kind = {"sum": "counter"}.get(kind, kind)
        if kind != "gauge":
            assert data.aggregation_temporality == CUMULATIVE
        if kind == "sum":
            assert data.is_monotonic
        if kind == "histogram":
            assert sum(point.bucket_counts) == point.count and len(point.bucket_counts) == len(point.explicit_bounds) + 1
            self.value = (point.count, point.sum, dict(zip(point.explicit_bounds, accumulate(point.bucket_counts), strict=False)))
        else:
            self.value = getattr(point, point.WhichOneof("value"))


def attributes_of(message):
    def value(any_value):
        return getattr(any_value, any_value.WhichOneof("value"))

    return {pair.key: value(pair.value) for pair in message.attributes}
