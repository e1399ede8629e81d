//! The responses of the admin listener: health probes, metrics, reloads and revocations. All of them are plain text for programs.

use std::error::Error;
use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::uri::Authority;
use http_body::Body;
use http_body_util::Full;

use crate::admin::ReloadOutcome;
use crate::admin::State;
use crate::admin::revocation::REVOCATIONS;

/// The path that makes the gateway load its configuration again, by POST.
pub(crate) const RELOAD: &str = "/reload";

/// A header that a request for a reload must have. A page in a browser can't send it to another site without asking first
/// (Fetch Standard, "CORS-safelisted request-header"). Together with [`is_by_address`], no page can make an operator's
/// browser ask for reloads.
pub(crate) const RELOAD_HEADER: HeaderName = HeaderName::from_static("x-portcullis-reload");

/// A response of this listener.
pub(super) type Answer = Response<Full<Bytes>>;

/// Answers one request.
pub(super) async fn answer<B>(request: Request<B>, state: &State) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let path = request.uri().path();
    if path == RELOAD {
        return reload(&request, state).await;
    }
    if path == REVOCATIONS {
        return state.revoker.answer(request).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    match path {
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" if state.stop.was_requested() => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        "/readyz" if state.audit.refuses() => {
            let why = "requests are refused, because too many audit lines wait to be written\n";
            text(StatusCode::SERVICE_UNAVAILABLE, why)
        }
        "/readyz" => {
            let trouble = state.reloads.trouble().unwrap_or_default();
            text(StatusCode::OK, format!("ready\n{trouble}"))
        }
        "/metrics" => {
            let mut response = text(StatusCode::OK, state.metrics.render());
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EXPOSITION));
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "not found: /livez, /readyz, /metrics, /reload, /revocations\n",
        ),
    }
}

/// Reloads the configuration. The status says whether it is in use.
async fn reload<B>(request: &Request<B>, state: &State) -> Answer {
    if request.method() != Method::POST {
        return not_allowed("POST");
    }
    if !request.headers().contains_key(RELOAD_HEADER) {
        return text(
            StatusCode::FORBIDDEN,
            format!("the header {RELOAD_HEADER} is missing; `portcullis reload` sends it\n"),
        );
    }
    if !is_by_address(request) {
        return text(
            StatusCode::FORBIDDEN,
            "the gateway is asked for a reload by its address or as localhost, not by another name\n",
        );
    }
    match state.reloads.ask().await {
        Some(outcome @ ReloadOutcome::Applied { .. }) => text(StatusCode::OK, format!("{outcome}\n")),
        Some(outcome @ ReloadOutcome::Failed(_)) => text(StatusCode::UNPROCESSABLE_ENTITY, format!("{outcome}\n")),
        None => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway stops, or too many others wait for a reload\n",
        ),
    }
}

/// Whether `Host` is an IP address or `localhost`. The name of a page that leads to this address (DNS rebinding) is neither.
fn is_by_address<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|authority| {
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok()
    })
}

pub(super) fn not_allowed(allowed: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn text(status: StatusCode, content: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
