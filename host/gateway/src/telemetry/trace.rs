//! The trace of one request: its own span, and those of its phases below it. Names are those of OpenTelemetry's conventions for
//! HTTP; what they don't have begins with `portcullis.`. A span has no more of a user than the access log.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::Link;
use opentelemetry::trace::Span as _;
use opentelemetry::trace::SpanBuilder;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::Status;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::trace::Tracer as _;
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_sdk::trace::Span;
use portcullis::decision::Step;
use portcullis::decision::Verdict;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use super::context;
use super::spans::UpstreamSpan;
use super::spans::method;
use crate::config::ParentTrust;

/// Begins the traces of requests. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Tracer {
    tracer: SdkTracer,
    parent: ParentTrust,
}

/// The trace of one request.
#[derive(Debug)]
pub(crate) struct Trace {
    tracer: SdkTracer,
    /// The parent of the phases.
    context: Context,
    /// `None` once it has ended.
    span: Mutex<Option<Span>>,
    /// The method, as the name of the span begins.
    method: &'static str,
}

/// A step of the pipeline that has just ended, and the plugins that it asked.
#[derive(Debug)]
pub(crate) struct Phase<'a> {
    /// What was done, as an infinitive.
    pub(crate) name: &'static str,
    /// What came of it, in a word of the audit log.
    pub(crate) outcome: &'static str,
    /// Who decided.
    pub(crate) by: &'static str,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// The role of the plugins.
    pub(crate) role: &'static str,
    /// The plugins, in the order in which they were asked.
    pub(crate) steps: &'a [Step],
}

/// How a request was answered.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// The status of the response.
    pub(crate) status: StatusCode,
    /// The name of the route and its path. `None` if no route serves the request.
    pub(crate) route: Option<(&'a str, &'a str)>,
    /// Whether the response was sent to its end.
    pub(crate) is_complete: bool,
}

impl Tracer {
    pub(super) fn new(tracer: SdkTracer, parent: ParentTrust) -> Self {
        Self { tracer, parent }
    }

    /// Begins the trace of a request. `handshake` is when the TLS handshake before it began, and how long it took.
    pub(crate) fn begin(
        &self,
        parts: &Parts,
        client: &Client,
        id: &RequestId,
        handshake: Option<(SystemTime, Duration)>,
    ) -> Trace {
        let sent = context::extract(&parts.headers);
        let is_trusted = match self.parent {
            ParentTrust::All => true,
            ParentTrust::None => false,
            ParentTrust::Trusted => client.peer_is_trusted,
        };
        let (known, _) = method(&parts.method);
        let mut builder = SpanBuilder::from_name(known).with_kind(SpanKind::Server);
        let mut parent = Context::new();
        match sent {
            Some(sent) if is_trusted => parent = parent.with_remote_span_context(sent),
            // Whoever sent it knows it by this name, but decides nothing.
            Some(sent) => builder = builder.with_links(vec![Link::with_context(sent)]),
            None => {}
        }
        let mut span = self.tracer.build_with_context(builder, &parent);
        if span.is_recording() {
            span.set_attributes(of_request(parts, client, id));
        }
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        let trace = Trace {
            tracer: self.tracer.clone(),
            context,
            span: Mutex::new(Some(span)),
            method: known,
        };
        if let Some((began, elapsed)) = handshake {
            trace.child("TLS handshake", began, elapsed, &trace.context, Vec::new);
        }
        trace
    }
}

impl Trace {
    /// Adds a phase that has just ended. Nobody knows when each of its plugins was asked, but one followed the other.
    pub(crate) fn phase(&self, phase: &Phase<'_>) {
        let began = SystemTime::now().checked_sub(phase.elapsed);
        let began = began.unwrap_or(SystemTime::UNIX_EPOCH);
        let attributes = || {
            vec![
                KeyValue::new("portcullis.outcome", phase.outcome),
                KeyValue::new("portcullis.decided_by", phase.by),
            ]
        };
        let Some(context) = self.child(phase.name, began, phase.elapsed, &self.context, attributes) else {
            return;
        };
        let mut asked = began;
        for step in phase.steps {
            // A reused decision has the time of the call that made it.
            let elapsed = if step.reused.is_some() {
                Duration::ZERO
            } else {
                step.elapsed
            };
            self.step(phase.role, step, (asked, elapsed), &context);
            asked += elapsed;
        }
    }

    fn step(&self, role: &'static str, step: &Step, (began, elapsed): (SystemTime, Duration), parent: &Context) {
        let verdict = step.verdict.label();
        let mut attributes = vec![
            KeyValue::new("portcullis.plugin.role", role),
            KeyValue::new("portcullis.plugin.name", step.name.to_string()),
            KeyValue::new("portcullis.plugin.verdict", verdict),
            KeyValue::new("portcullis.plugin.reused", step.reused.is_some()),
        ];
        let is_failure = matches!(step.verdict, Verdict::Fail(_) | Verdict::Unavailable(_));
        if is_failure {
            attributes.push(KeyValue::new("error.type", verdict));
        }
        let builder = SpanBuilder::from_name(format!("{role} {}", step.name))
            .with_start_time(began)
            .with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, parent);
        if is_failure {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(began + elapsed);
    }

    /// Begins the request to an upstream, and writes its context into the headers.
    ///
    /// `server` is its address. `None` if there are several, of which it isn't known yet which one answers.
    pub(crate) fn upstream(&self, upstream: &str, server: Option<&str>, head: &mut Parts) -> UpstreamSpan {
        let span = UpstreamSpan::begin(&self.tracer, &self.context, upstream, server, &head.method);
        span.inject(&mut head.headers);
        span
    }

    /// Ends the trace.
    pub(crate) fn finish(&self, answer: &Answer<'_>) {
        let Some(mut span) = self.span().take().filter(|span| span.is_recording()) else {
            return;
        };
        let code = answer.status.as_u16();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(code)));
        if let Some((name, path)) = answer.route {
            span.set_attribute(KeyValue::new("http.route", path.to_owned()));
            span.set_attribute(KeyValue::new("portcullis.route", name.to_owned()));
            span.update_name(format!("{} {path}", self.method));
        }
        if answer.status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", code.to_string()));
            span.set_status(Status::error(""));
        } else if !answer.is_complete {
            span.set_attribute(KeyValue::new("error.type", "incomplete"));
            span.set_status(Status::error(""));
        }
        span.end();
    }

    /// Adds a span that has ended. `None` if the trace isn't sampled; then there are no attributes either.
    fn child(
        &self,
        name: &'static str,
        began: SystemTime,
        elapsed: Duration,
        parent: &Context,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Option<Context> {
        if !parent.span().span_context().is_sampled() {
            return None;
        }
        let builder = SpanBuilder::from_name(name)
            .with_start_time(began)
            .with_attributes(attributes());
        let mut span = self.tracer.build_with_context(builder, parent);
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        span.end_with_timestamp(began + elapsed);
        Some(context)
    }

    fn span(&self) -> MutexGuard<'_, Option<Span>> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the access log tells of a request, by the names of the conventions.
fn of_request(parts: &Parts, client: &Client, id: &RequestId) -> Vec<KeyValue> {
    let (known, original) = method(&parts.method);
    let mut attributes = vec![
        KeyValue::new("http.request.method", known),
        KeyValue::new("url.scheme", client.scheme.to_string()),
        KeyValue::new("url.path", text(parts.uri.path())),
        KeyValue::new("client.address", client.shown_address().to_string()),
        KeyValue::new("network.protocol.name", "http"),
        KeyValue::new("network.protocol.version", version(parts.version)),
        KeyValue::new("portcullis.request_id", id.as_str().to_owned()),
    ];
    attributes.extend(original.map(|method| KeyValue::new("http.request.method_original", method.to_owned())));
    let agent = field(&parts.headers, header::USER_AGENT);
    attributes.extend(agent.map(|agent| KeyValue::new("user_agent.original", text(agent))));
    let host = field(&parts.headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    if let Some(authority) = parts.uri.authority().cloned().or(host) {
        attributes.push(KeyValue::new("server.address", text(authority.host())));
        attributes.extend(
            authority
                .port_u16()
                .map(|port| KeyValue::new("server.port", i64::from(port))),
        );
    }
    attributes
}

fn field(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// As much of a text as the access log has.
fn text(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// How much of a text is told, in characters.
const MAX_TEXT: usize = 512;
