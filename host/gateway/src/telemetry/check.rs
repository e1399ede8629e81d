//! The traces of the questions of fronts. Their own span is the question, and what the front asks about is told by attributes.

use std::borrow::Cow;
use std::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::request::Parts;
use opentelemetry::KeyValue;
use opentelemetry::trace::Span as _;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use super::attributes;
use super::context;
use super::spans::method;
use super::trace::Caller;
use super::trace::Trace;
use super::trace::Tracer;
use super::trace::fail;

/// How a front asks.
#[derive(Debug)]
pub(crate) enum CheckCall<'a> {
    /// By gRPC.
    Grpc {
        /// The service and the method, such as `package.Service/Method`.
        method: &'static str,
        /// What Envoy sends with the message.
        metadata: &'a HeaderMap,
    },
    /// Over HTTP.
    Http {
        /// The head of the front's request.
        parts: &'a Parts,
        /// The path of the endpoint.
        route: &'static str,
    },
}

/// A question of a front about a request.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    pub(crate) call: CheckCall<'a>,
    /// When the TLS handshake before it began, and how long it took.
    pub(crate) handshake: Option<(SystemTime, Duration)>,
    /// The id of the request that the question is about, and what else is known of that.
    pub(crate) id: &'a RequestId,
    pub(crate) client: &'a Client,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

/// How a question was answered.
#[derive(Debug)]
pub(crate) struct CheckAnswer<'a> {
    /// The status with which the gateway itself would answer the request, or 200 if it may be forwarded.
    pub(crate) verdict: StatusCode,
    /// The status of the response to the front. `None` over gRPC, which always succeeds.
    pub(crate) status: Option<StatusCode>,
    /// The name of the route. `None` if no route serves the request.
    pub(crate) route: Option<&'a str>,
}

impl Tracer {
    /// Begins the trace of a question. The front was recognised as one, so its context is that of a trusted proxy.
    pub(crate) fn begin_check(&self, check: &Check<'_>) -> Trace {
        let (name, asked): (Cow<'static, str>, _) = match &check.call {
            CheckCall::Grpc { method, metadata } => ((*method).into(), *metadata),
            CheckCall::Http { parts, route } => {
                let (known, _) = method(&parts.method);
                (format!("{known} {route}").into(), &parts.headers)
            }
        };
        // A front that traces sends the context of its question. Of one that doesn't, there is only that of the request.
        let caller = Caller {
            context: context::extract(asked).or_else(|| context::extract(check.headers)),
            is_trusted: true,
            handshake: check.handshake,
        };
        self.start(name, caller, || attributes::of_check(check))
    }
}

impl Trace {
    /// Ends the trace of a question.
    pub(crate) fn finish_check(&self, answer: &CheckAnswer<'_>) {
        let Some(mut span) = self.take_span() else {
            return;
        };
        span.set_attribute(match answer.status {
            Some(status) => KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            None => KeyValue::new("rpc.response.status_code", "OK"),
        });
        let code = answer.verdict.as_u16();
        span.set_attribute(KeyValue::new("portcullis.status", i64::from(code)));
        let route = answer.route.map(ToOwned::to_owned);
        span.set_attributes(route.map(|route| KeyValue::new("portcullis.route", route)));
        if answer.verdict.is_server_error() {
            fail(&mut span, code.to_string());
        }
        span.end();
    }
}
