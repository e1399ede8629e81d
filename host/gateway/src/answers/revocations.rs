//! Where another gateway with the same keys tells which sessions are over. The message is sealed with these keys, so that nobody else
//! can end a session, whoever may reach the listener.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::Response;
use http::StatusCode;
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
        return response::whole_method_not_allowed("POST");
    }
    let Some((sessions, list)) = sessions.and_then(|sessions| Some((sessions, sessions.revocations()?))) else {
        return response::whole_error(StatusCode::NOT_FOUND, "Not found");
    };
    let Ok(message) = body.whole(MAX_MESSAGE, TIMEOUT).await else {
        return response::whole_error(
            StatusCode::BAD_REQUEST,
            "The message is too large, or did not arrive in time",
        );
    };
    match sessions.open_revocations(&message) {
        Some(revocations) => {
            revocations.into_iter().for_each(|revocation| list.hear(revocation));
            response::whole(StatusCode::OK, "application/json", json!({}).to_string())
        }
        None => response::whole_error(StatusCode::FORBIDDEN, "Forbidden"),
    }
}
