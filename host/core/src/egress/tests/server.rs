//! A server that records its requests, and the outbound side of a plugin to send them with. The query of a request says
//! how the server responds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Asked;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::Response as Answered;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use http_body_util::Full;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiHttpHooks;

use super::super::CallEgress;
use super::super::Egress;
use super::super::Outbound;
use super::super::counters::Counters;
use super::super::resolver::Lookup;
use super::super::resolver::Resolver;
use crate::grants::Grants;
use crate::plugin_log::LogLines;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<(String, HeaderMap, Bytes)>>,
    gate: Gate,
    failing: AtomicBool,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The methods and targets of all requests, in order.
    pub(super) fn seen(&self) -> Vec<String> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().map(|(target, ..)| target.clone()).collect()
    }

    pub(super) fn last(&self) -> (HeaderMap, Bytes) {
        let (_, headers, body) = self.shared.seen.lock().unwrap().last().cloned().unwrap();
        (headers, body)
    }

    /// Lets requests for `/gated` continue.
    pub(super) fn open(&self) {
        self.shared.gate.0.add_permits(1000);
    }

    pub(super) fn fail(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::SeqCst);
    }

    pub(super) async fn until_asked(&self, times: usize) {
        let asked = async {
            while self.seen().len() < times {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
    }
}

/// Responds with the headers in the query (`?cache-control=max-age%3D60`), in the way that the path says.
async fn answer(State(shared): State<Arc<Shared>>, asked: Asked) -> Answered {
    let (head, body) = asked.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let target = format!("{} {}", head.method, head.uri);
    let serial = {
        let mut seen = shared.seen.lock().unwrap();
        seen.push((target, head.headers.clone(), body));
        seen.len()
    };
    let path = head.uri.path();
    if path.starts_with("/gated") {
        shared.gate.0.acquire().await.unwrap().forget();
    }
    if shared.failing.load(Ordering::SeqCst) {
        return http::StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if path.starts_with("/stalled") {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let begun = futures_util::stream::once(std::future::ready(Ok(Bytes::from("begun"))));
        return axum::body::Body::from_stream(futures_util::StreamExt::chain(begun, never)).into_response();
    }
    let mut response = match path.strip_prefix("/large/") {
        Some(size) => vec![b'x'; size.parse().unwrap()].into_response(),
        None => format!("answer {serial}").into_response(),
    };
    if let Some(status) = path.strip_prefix("/status/") {
        *response.status_mut() = status.parse().unwrap();
    }
    for (name, value) in head
        .uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.split_once('='))
    {
        let value = value
            .replace("%3D", "=")
            .replace("%22", "\"")
            .replace("%repeat", &"x".repeat(100_000));
        response.headers_mut().append(
            http::HeaderName::try_from(name).unwrap(),
            http::HeaderValue::try_from(value).unwrap(),
        );
    }
    let tag = response.headers().get("etag");
    if tag.is_some() && tag == head.headers.get("if-none-match") {
        *response.status_mut() = http::StatusCode::NOT_MODIFIED;
        *response.body_mut() = axum::body::Body::empty();
    }
    response
}

/// The outbound side of an authenticator with these grants.
pub(super) struct Side {
    pub(super) egress: Egress,
    counts: Recorder,
    /// The log of the last call.
    pub(super) log: LogLines,
}

impl Side {
    pub(super) fn new(grants: &[String]) -> Self {
        Self::with(grants, false, Outbound::default(), Resolver::system())
    }

    /// A side whose exchanges must be complete in this time.
    pub(super) fn hurried(grants: &[String], exchange: Duration) -> Self {
        Self::made(grants, false, Outbound::default(), Resolver::system(), exchange)
    }

    pub(super) fn with(grants: &[String], private: bool, outbound: Outbound, lookup: Lookup) -> Self {
        Self::made(grants, private, outbound, lookup, Duration::from_secs(20))
    }

    fn made(grants: &[String], private: bool, outbound: Outbound, lookup: Lookup, exchange: Duration) -> Self {
        let grants = Grants {
            http: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            private,
            ..Grants::default()
        };
        let counts = Recorder::default();
        let counters = metrics::with_local_recorder(&counts, || Counters::register(&"tested".into()));
        Self {
            egress: Egress::resolving(lookup, exchange, counters, Arc::new(grants), outbound, None, None),
            counts,
            log: LogLines::new("tested".into(), None),
        }
    }

    /// Sends one request as one call of a plugin. Returns status, headers and body.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<(u16, HeaderMap, Bytes), Error> {
        self.send_within(None, request).await
    }

    /// The same with a timeout for the first byte.
    pub(super) async fn send_within(
        &self,
        timeout: Option<Duration>,
        request: Request<Bytes>,
    ) -> Result<(u16, HeaderMap, Bytes), Error> {
        let options = RequestOptions {
            first_byte_timeout: timeout,
            ..RequestOptions::default()
        };
        let request = request.map(|body| Full::new(body).map_err(Into::into).boxed_unsync());
        self.log.renew();
        let mut call = CallEgress::new(self.egress.clone(), self.log.clone());
        let sent = call.send_request(request, Some(options), Box::new(std::future::ready(Ok(()))));
        let (response, _) = Pin::from(sent).await?;
        let (head, body) = response.into_parts();
        Ok((head.status.as_u16(), head.headers, body.collect().await?.to_bytes()))
    }

    pub(super) async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<(u16, HeaderMap, Bytes), Error> {
        let request = Request::get(url);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Bytes::new()).unwrap()).await
    }

    /// The counters that are not zero.
    pub(super) fn counted(&self) -> HashMap<String, u64> {
        let counts = self.counts.0.lock().unwrap();
        let counts = counts
            .iter()
            .map(|(outcome, count)| (outcome.clone(), count.load(Ordering::SeqCst)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// Counters by their label `outcome`.
#[derive(Default)]
struct Recorder(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        assert_eq!(key.name(), "portcullis_outbound_requests_total");
        let label = |wanted| {
            key.labels()
                .find(|label| label.key() == wanted)
                .unwrap()
                .value()
                .to_owned()
        };
        assert_eq!(label("authenticator"), "tested");
        let count = Arc::<AtomicU64>::default();
        self.0.lock().unwrap().insert(label("outcome"), Arc::clone(&count));
        metrics::Counter::from_arc(count)
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}
