//! Where another gateway with the same keys tells which sessions are over. The message is sealed with these keys, so that nobody else
//! can end a session, whoever may reach the listener.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Limited;
use portcullis::session::Sessions;
use serde_json::json;

use crate::answers::response;
use crate::transport::connection::ReceivedBody;

/// The largest message, in bytes: as long as a sealed text may be.
const MAX_MESSAGE: usize = 8 << 10;

/// How long a message may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Adds the revocations of a message. They aren't told to others, so that none is told in circles.
pub(crate) async fn receive(method: &Method, sessions: Option<&Arc<Sessions>>, body: ReceivedBody) -> Response<Bytes> {
    if method != Method::POST {
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let Some((sessions, list)) = sessions.and_then(|sessions| Some((sessions, sessions.revocations()?))) else {
        return error(StatusCode::NOT_FOUND, "Not found");
    };
    let read = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_MESSAGE).collect());
    let Ok(Ok(message)) = read.await else {
        return error(
            StatusCode::BAD_REQUEST,
            "The message is too large, or did not arrive in time",
        );
    };
    match sessions.open_revocations(&message.to_bytes()) {
        Some(revocations) => {
            revocations.into_iter().for_each(|revocation| list.add(revocation));
            response::whole(StatusCode::OK, "application/json", json!({}).to_string())
        }
        None => error(StatusCode::FORBIDDEN, "Forbidden"),
    }
}

fn error(status: StatusCode, message: &str) -> Response<Bytes> {
    response::whole(status, "application/json", json!({ "error": message }).to_string())
}
