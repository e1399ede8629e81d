//! The trace of one request: its own span, and those of its phases below it. Names are those of OpenTelemetry's conventions for
//! HTTP; what they don't have begins with `portcullis.`.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use http::StatusCode;
use http::request::Parts;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::Link;
use opentelemetry::trace::Span as _;
use opentelemetry::trace::SpanBuilder;
use opentelemetry::trace::SpanContext;
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

use super::attributes;
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
    /// The name of its own span before the route is known.
    name: Cow<'static, str>,
}

/// Who sends a request.
#[derive(Debug)]
pub(super) struct Caller {
    /// The context that the request brings.
    pub(super) context: Option<SpanContext>,
    /// Whether it is a proxy whose word counts.
    pub(super) is_trusted: bool,
    /// When the TLS handshake before the request began, and how long it took.
    pub(super) handshake: Option<(SystemTime, Duration)>,
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
        let (known, _) = method(&parts.method);
        let caller = Caller {
            context: context::extract(&parts.headers),
            is_trusted: client.peer_is_trusted,
            handshake,
        };
        self.start(known.into(), caller, || attributes::of_request(parts, client, id))
    }

    /// Begins a trace with the span of this name.
    pub(super) fn start(
        &self,
        name: Cow<'static, str>,
        caller: Caller,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Trace {
        let is_trusted = match self.parent {
            ParentTrust::All => true,
            ParentTrust::None => false,
            ParentTrust::Trusted => caller.is_trusted,
        };
        let mut builder = SpanBuilder::from_name(name.clone()).with_kind(SpanKind::Server);
        let mut parent = Context::new();
        match caller.context {
            Some(sent) if is_trusted => parent = parent.with_remote_span_context(sent),
            // Whoever sent it knows it by this name, but decides nothing.
            Some(sent) => builder = builder.with_links(vec![Link::with_context(sent)]),
            None => {}
        }
        let mut span = self.tracer.build_with_context(builder, &parent);
        if span.is_recording() {
            span.set_attributes(attributes());
        }
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        let trace = Trace {
            tracer: self.tracer.clone(),
            context,
            span: Mutex::new(Some(span)),
            name,
        };
        if let Some((began, elapsed)) = caller.handshake {
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
        let Some(mut span) = self.take_span() else {
            return;
        };
        let code = answer.status.as_u16();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(code)));
        if let Some((name, path)) = answer.route {
            span.set_attribute(KeyValue::new("http.route", path.to_owned()));
            span.set_attribute(KeyValue::new("portcullis.route", name.to_owned()));
            span.update_name(format!("{} {path}", self.name));
        }
        if answer.status.is_server_error() {
            fail(&mut span, code.to_string());
        } else if !answer.is_complete {
            fail(&mut span, "incomplete".to_owned());
        }
        span.end();
    }

    /// The span of the request itself, to be ended. `None` if it has ended or isn't sampled.
    pub(super) fn take_span(&self) -> Option<Span> {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.take().filter(|span| span.is_recording())
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
}

/// Marks a span as failed, for a reason in one word.
pub(super) fn fail(span: &mut Span, why: String) {
    span.set_attribute(KeyValue::new("error.type", why));
    span.set_status(Status::error(""));
}
