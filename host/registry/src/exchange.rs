//! One request and its response, whose body is bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryFutureExt;
use http::HeaderMap;
use http::Request;
use http::Response;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use serde::Deserialize;

use crate::dialer::Dialer;
use crate::error::Error;
use crate::error::quoted;

/// Sends requests to one host. It reuses its connections.
pub(crate) type HttpClient = Client<HttpsConnector<Dialer>, Full<Bytes>>;

/// How long a server may send nothing.
pub(crate) const IDLE: Duration = Duration::from_secs(30);

/// Sends a request and waits for the head of the response. `host` is for errors.
pub(crate) async fn send(
    client: &HttpClient,
    request: Request<Full<Bytes>>,
    host: &str,
    limit: Duration,
) -> Result<Response<Incoming>, Error> {
    let response = client.request(request).map_err(|error| Error::Unreachable {
        host: host.to_owned(),
        why: innermost(&error),
    });
    let timeout = |_| Error::Timeout {
        host: host.to_owned(),
        what: "its answer",
        limit,
    };
    tokio::time::timeout(limit, response).await.map_err(timeout)?
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn body(
    response: Response<Incoming>,
    host: &str,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let too_large = || Error::TooLarge {
        host: host.to_owned(),
        what,
        limit,
    };
    // What it promises may be a lie. A larger promise needs no look at the body.
    let promised = content_length(response.headers()).unwrap_or_default();
    if promised > limit {
        return Err(too_large());
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame())
            .await
            .map_err(|_| Error::Timeout {
                host: host.to_owned(),
                what: "the next part of its answer",
                limit: IDLE,
            })?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|error| Error::Unreachable {
            host: host.to_owned(),
            why: format!("the connection ended within {what}: {}", innermost(&error)),
        })?;
        if let Some(data) = frame.data_ref() {
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(data);
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What really happened, without the layers above.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    let mut source = error.source();
    while let Some(next) = source {
        inner = next;
        source = next.source();
    }
    let text = inner.to_string();
    // A layer of hyper's may hide the cause in a debug format only.
    if text.is_empty() { format!("{inner:?}") } else { text }
}

/// The maximum size of what a registry says about an error, in bytes.
const MAX_DETAIL: u64 = 64 << 10;

/// The errors of a registry (OCI distribution specification, "Error Codes").
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry says about an error, with a colon in front. Empty if it says nothing that can be understood.
pub(crate) async fn detail(response: Response<Incoming>, host: &str) -> String {
    let Ok(bytes) = body(response, host, "an error", MAX_DETAIL).await else {
        return String::new();
    };
    let errors = serde_json::from_slice::<Errors>(&bytes).ok();
    let first = errors.and_then(|errors| errors.errors.into_iter().next());
    first
        .map(|Detail { code, message }| format!(": {}", quoted(&format!("{code}: {message}"))))
        .unwrap_or_default()
}
