//! The access log and the metrics of requests. Both are written when a response has been sent, or was cut off.

mod line;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::HeaderName;
use http::Method;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;
use http_body::Body as _;
use http_body::Frame;
use http_body::SizeHint;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use crate::config::AccessLogFormat;
use crate::pipeline::Record;
use crate::proxy::body::Body;
use crate::telemetry::Answer;
use crate::telemetry::Trace;

const REQUESTS: &str = "portcullis_requests_total";
const SECONDS: &str = "portcullis_request_seconds";

/// Describes the metrics.
pub(super) fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests on the public listener, by route and status.");
    metrics::describe_histogram!(
        SECONDS,
        metrics::Unit::Seconds,
        "How long requests took, the response included."
    );
}

/// Where the lines of the access log go. A clone is the same log.
#[derive(Clone)]
pub(crate) struct AccessLog {
    format: AccessLogFormat,
    write: Arc<Write>,
}

/// Takes one line. It must not block.
type Write = dyn Fn(&[u8]) + Send + Sync;

impl AccessLog {
    /// A log whose lines are given to `write`, which must not block.
    pub(crate) fn new(format: AccessLogFormat, write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self {
            format,
            write: Arc::new(write),
        }
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessLog").field(&self.format).finish()
    }
}

/// The access log, which a reload may replace.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentAccessLog(Arc<ArcSwapOption<AccessLog>>);

impl CurrentAccessLog {
    /// Writes the next requests to another log. `None` for no log.
    pub(crate) fn replace(&self, log: Option<AccessLog>) {
        self.0.store(log.map(Arc::new));
    }
}

/// A request, for the metrics and for its line in the log.
#[derive(Debug)]
pub(super) struct Request {
    began: Instant,
    record: Arc<Record>,
    /// `None` if there is no access log.
    logged: Option<Box<(AccessLog, Head)>>,
}

/// What a line tells of the head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) time: SystemTime,
    pub(super) id: RequestId,
    /// The client's address for people.
    pub(super) client: String,
    pub(super) method: Method,
    pub(super) host: Option<String>,
    pub(super) path: String,
    pub(super) version: Version,
    pub(super) referer: Option<String>,
    pub(super) agent: Option<String>,
}

impl Request {
    /// Begins the record of a request.
    pub(super) fn begin(
        log: &CurrentAccessLog,
        id: &RequestId,
        client: &Client,
        parts: &mut Parts,
        trace: Option<Trace>,
    ) -> Self {
        let record = Arc::new(Record::new(trace));
        parts.extensions.insert(Arc::clone(&record));
        Self {
            began: Instant::now(),
            record,
            logged: log
                .0
                .load()
                .as_ref()
                .map(|log| Box::new((AccessLog::clone(log), Head::of(id, client, parts)))),
        }
    }

    /// The response, whose end ends the record.
    pub(super) fn response(self, response: Response<Body>) -> Response<LoggedBody> {
        let status = response.status();
        response.map(|body| LoggedBody {
            is_complete: body.is_end_stream(),
            body,
            bytes: 0,
            status,
            request: self,
        })
    }
}

impl Head {
    fn of(id: &RequestId, client: &Client, parts: &Parts) -> Self {
        let text = |text: &str| text.chars().take(MAX_TEXT).collect::<String>();
        let field = |name: HeaderName| Some(text(&String::from_utf8_lossy(parts.headers.get(name)?.as_bytes())));
        let host = parts.uri.authority().map(|authority| text(authority.as_str()));
        Self {
            time: SystemTime::now(),
            id: id.clone(),
            client: client.shown_address().to_string(),
            method: parts.method.clone(),
            host: host.or_else(|| field(header::HOST)),
            path: text(parts.uri.path()),
            version: parts.version,
            // A query can carry credentials.
            referer: field(header::REFERER).map(|url| url.split(['?', '#']).next().unwrap_or_default().to_owned()),
            agent: field(header::USER_AGENT),
        }
    }
}

/// How much of a text in a request is logged, in characters.
const MAX_TEXT: usize = 512;

/// The body of a response, which writes the line when it is dropped.
#[derive(Debug)]
pub(crate) struct LoggedBody {
    body: Body,
    bytes: u64,
    is_complete: bool,
    status: StatusCode,
    request: Request,
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.bytes += u64::try_from(length).unwrap_or_default();
                self.is_complete = self.body.is_end_stream();
            }
            Poll::Ready(None) => self.is_complete = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for LoggedBody {
    fn drop(&mut self) {
        let elapsed = self.request.began.elapsed();
        let route = self.request.record.route().unwrap_or_default().to_owned();
        metrics::counter!(REQUESTS, "route" => route.clone(), "code" => self.status.as_str().to_owned()).increment(1);
        metrics::histogram!(SECONDS, "route" => route).record(elapsed.as_secs_f64());
        if let Some(trace) = self.request.record.trace() {
            let record = &self.request.record;
            trace.finish(&Answer {
                status: self.status,
                route: record.route().zip(record.route_path()),
                is_complete: self.is_complete,
            });
        }
        if let Some(logged) = &self.request.logged {
            let (log, head) = &**logged;
            let line = line::Line {
                head,
                record: &self.request.record,
                status: self.status,
                bytes: self.bytes,
                is_complete: self.is_complete,
                elapsed,
            };
            (log.write)(line.format(log.format).as_bytes());
        }
    }
}
