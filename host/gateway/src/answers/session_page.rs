//! Tells the script of a page who the user is, and until when: as JSON, without anything that could be used as the user.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use portcullis::Chain;
use portcullis::session::Sessions;
use serde_json::json;

use crate::answers::response;

/// Where the script asks.
pub(crate) const PATH: &str = "/.portcullis/session";

/// Answers with the session of a request. The name is null if it has none that counts.
pub(crate) fn answer(
    method: &Method,
    headers: &HeaderMap,
    sessions: Option<&Arc<Sessions>>,
    chain: &Chain,
) -> Response<Bytes> {
    if method != Method::GET && method != Method::HEAD {
        return response::whole_method_not_allowed("GET, HEAD");
    }
    // No page of another origin can read the answer anyway, because it has no field of CORS.
    let is_own = |site: &HeaderValue| site == "same-origin" || site == "none";
    if !headers.get(SEC_FETCH_SITE).is_none_or(is_own) {
        return response::whole_error(StatusCode::FORBIDDEN, "Forbidden");
    }
    let session = sessions.and_then(|sessions| Some((sessions, sessions.read(headers, chain).ok().flatten()?)));
    let facts = match session {
        Some((sessions, session)) => json!({
            "name": session.identity().name(),
            "groups": session.identity().groups(),
            "admin": session.identity().admin(),
            "authenticator": session.authenticator(),
            "expires_at": shown(sessions.ends_unused(&session)),
            "renew_at": session.renew_at().map(shown),
        }),
        None => json!({ "name": null }),
    };
    response::whole(StatusCode::OK, "application/json", facts.to_string())
}

/// A time as RFC 3339 has it, in UTC.
fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// W3C Fetch Metadata: the relation of the page that sent the request to this site.
pub(crate) const SEC_FETCH_SITE: &str = "sec-fetch-site";
