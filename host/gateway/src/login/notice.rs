//! Notices of providers that sessions are over, such as a back-channel logout (OpenID Connect Back-Channel Logout 1.0). The plugin
//! checks who says so; the gateway ends the sessions.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis::Handle;
use portcullis::LoginError;
use serde_json::json;

use super::audit;
use super::audit::Entry;
use super::parameters;
use super::visit::Visit;
use crate::answers::response;
use crate::generation::LoginPoint;
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::Unread;

/// The largest notice, in bytes. One has a token of some KiB.
const MAX_NOTICE: usize = 64 << 10;

/// How long a notice may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Ends the sessions that a provider names.
pub(super) async fn receive(visit: &Visit<'_>, point: &LoginPoint, body: ReceivedBody) -> Response<Bytes> {
    if visit.method != Method::POST {
        return response::whole_method_not_allowed("POST");
    }
    let (outcome, why, status, elapsed) = match parameters_of(visit, body).await {
        Ok(parameters) => taken(visit, point, parameters).await,
        Err(why) => ("refused", Some(why.to_owned()), StatusCode::BAD_REQUEST, None),
    };
    let entry = Entry {
        login: &point.name,
        step: "notice",
        outcome,
        status,
        user: None,
        why: why.as_deref(),
        elapsed,
    };
    entry.write(visit);
    let body = match status {
        StatusCode::OK => json!({}),
        StatusCode::BAD_REQUEST => json!({ "error": "invalid_request" }),
        _ => json!({ "error": "temporarily_unavailable" }),
    };
    let mut response = response::whole(status, "application/json", body.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

async fn parameters_of(visit: &Visit<'_>, body: ReceivedBody) -> Result<Vec<(String, String)>, &'static str> {
    let media_type = visit.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err("it isn't a form");
    }
    let bytes = body.whole(MAX_NOTICE, TIMEOUT).await.map_err(|why| match why {
        Unread::BrokenOrTooLarge => "it broke off, or is larger than 64 KiB",
        Unread::Late => "it did not arrive in time",
    })?;
    parameters::each_once(std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8")?)
}

/// What has become of a notice: a word for the log, the reason, the status, and how long the plugin took.
type Taken = (&'static str, Option<String>, StatusCode, Option<Duration>);

async fn taken(visit: &Visit<'_>, point: &LoginPoint, parameters: Vec<(String, String)>) -> Taken {
    let list = visit.generation.sessions().and_then(|sessions| sessions.revocations());
    let (Some(login), Some(list)) = (&point.login, list) else {
        let why = "its authenticator is disabled, or there is no list of sessions that are over";
        return (
            "unavailable",
            Some(why.to_owned()),
            StatusCode::SERVICE_UNAVAILABLE,
            None,
        );
    };
    let call = login.notice(&visit.auth_request(), parameters).await;
    let elapsed = Some(call.elapsed);
    match call.result {
        Ok(handles) => {
            for handle in &handles {
                list.revoke_handle(&point.name, handle);
            }
            let handles = Vec::from_iter(handles.iter().map(Handle::as_str)).join(", ");
            ("ended", Some(handles), StatusCode::OK, elapsed)
        }
        Err(error) => {
            audit::warn_of_failure(visit, &point.name, "notice", &error);
            let status = match error {
                LoginError::NotMine | LoginError::Unauthenticated(_) | LoginError::Forbidden(_) => {
                    StatusCode::BAD_REQUEST
                }
                LoginError::TurnedAway { by_rate: true, .. } => StatusCode::TOO_MANY_REQUESTS,
                LoginError::TurnedAway { .. } | LoginError::Unavailable(_) | LoginError::Failed(_) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            (error.label(), Some(error.to_string()), status, elapsed)
        }
    }
}
