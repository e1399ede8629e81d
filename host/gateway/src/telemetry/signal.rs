//! The messages of OTLP that a collector takes. Each has its own way to the collector, and its own way to be rejected in part.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// A message for a collector (OTLP 1.x).
pub(super) trait Signal: Message + Clone + 'static {
    /// What the collector answers.
    type Response: Message + Default + 'static;
    /// The method of gRPC that takes it.
    const METHOD: &'static str;
    /// The path below the endpoint that takes it over HTTP.
    const PATH: &'static str;

    /// How many spans or data points the collector rejects, while it takes the others.
    fn rejected(response: Self::Response) -> u64;
}

impl Signal for ExportTraceServiceRequest {
    type Response = ExportTraceServiceResponse;
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    const PATH: &'static str = "/v1/traces";

    fn rejected(response: Self::Response) -> u64 {
        let partial = response.partial_success.unwrap_or_default();
        u64::try_from(partial.rejected_spans).unwrap_or_default()
    }
}

impl Signal for ExportMetricsServiceRequest {
    type Response = ExportMetricsServiceResponse;
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    const PATH: &'static str = "/v1/metrics";

    fn rejected(response: Self::Response) -> u64 {
        let partial = response.partial_success.unwrap_or_default();
        u64::try_from(partial.rejected_data_points).unwrap_or_default()
    }
}
