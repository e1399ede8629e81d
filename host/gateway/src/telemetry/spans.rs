//! The span of a request to an upstream, all attempts included.

use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::uri::Authority;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::Span as _;
use opentelemetry::trace::SpanBuilder;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::Tracer as _;
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_sdk::trace::Span;

use super::context;
use super::trace::fail;

/// A request to an upstream. It ends when this is dropped, if nothing else ends it: then the client is gone.
#[derive(Debug)]
pub(crate) struct UpstreamSpan(Span);

impl UpstreamSpan {
    pub(super) fn begin(
        tracer: &SdkTracer,
        parent: &Context,
        upstream: &str,
        server: Option<&str>,
        requested: &Method,
    ) -> Self {
        let (known, _) = method(requested);
        let builder = SpanBuilder::from_name(known).with_kind(SpanKind::Client);
        let mut span = tracer.build_with_context(builder, parent);
        if span.is_recording() {
            span.set_attribute(KeyValue::new("http.request.method", known));
            span.set_attribute(KeyValue::new("portcullis.upstream", upstream.to_owned()));
            span.set_attributes(server.map(address).unwrap_or_default());
        }
        Self(span)
    }

    /// Writes the context of the request into its headers.
    pub(super) fn inject(&self, headers: &mut HeaderMap) {
        context::inject(self.0.span_context(), headers);
    }

    /// The upstream has begun its response.
    pub(crate) fn answered(mut self, status: StatusCode) {
        let code = status.as_u16();
        self.0
            .set_attribute(KeyValue::new("http.response.status_code", i64::from(code)));
        if status.is_client_error() || status.is_server_error() {
            fail(&mut self.0, code.to_string());
        }
        self.0.end();
    }

    /// The upstream gave no response, for a reason in one word.
    pub(crate) fn failed(mut self, why: &'static str) {
        fail(&mut self.0, why.to_owned());
        self.0.end();
    }
}

/// A server, as the configuration writes it.
fn address(server: &str) -> Vec<KeyValue> {
    let Ok(authority) = server.parse::<Authority>() else {
        return vec![KeyValue::new("server.address", server.to_owned())];
    };
    let mut attributes = vec![KeyValue::new("server.address", authority.host().to_owned())];
    attributes.extend(
        authority
            .port_u16()
            .map(|port| KeyValue::new("server.port", i64::from(port))),
    );
    attributes
}

/// The name of a method in spans, and the method itself if it isn't a known one: what clients invent makes no new names.
pub(super) fn method(method: &Method) -> (&'static str, Option<&str>) {
    let known = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
    ];
    match known.into_iter().find(|known| *known == method.as_str()) {
        Some(known) => (known, None),
        None => ("_OTHER", Some(method.as_str())),
    }
}
