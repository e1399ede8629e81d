//! Compares what settings need with the grants and limits beside them. A plugin whose grant is missing would only see
//! that a header is absent, or that a server can't be reached, and the operator would search for the reason.

use std::fmt;
use std::time::Duration;

use http::HeaderName;
use http::Uri;
use serde_json::Value;

use super::schema::Grant;
use super::schema::Kind;
use super::schema::Need;
use crate::grants::Grants;
use crate::limits::Limits;

/// Something that a setting needs, and that the grants or limits don't allow. The authenticator works without it as
/// far as it can.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SettingsWarning {
    /// The path of keys and indices, starting at the settings.
    pub path: Vec<String>,
    /// What is missing, and its consequence. Of a URL the text has only scheme, host and port, because the rest may be
    /// secret.
    pub message: String,
}

impl fmt::Display for SettingsWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_at(f, &self.path, &self.message)
    }
}

/// The needs that are not met.
pub(super) fn unmet(needs: Vec<Need>, grants: &Grants, limits: &Limits) -> Vec<SettingsWarning> {
    let warning = |need: Need| {
        let message = match need.kind {
            Kind::Grant(key) => missing_grant(key, need.value.as_str()?, grants),
            Kind::Requests(count) => too_slow(count, span(&need.value)?, limits.deadline),
        };
        let (path, message) = (need.path, message?);
        Some(SettingsWarning { path, message })
    };
    needs.into_iter().filter_map(warning).collect()
}

/// The message about a grant that is missing. `None` if it isn't, or if nothing could be granted for this value.
fn missing_grant(key: Grant, named: &str, grants: &Grants) -> Option<String> {
    let seen = "so it is never seen";
    match key {
        Grant::Cookies => {
            (!grants.cookie(named)).then(|| format!("grants.cookies doesn't have the cookie {named:?}, {seen}"))
        }
        Grant::Headers => {
            let name: HeaderName = named.parse().ok()?;
            (!grants.header(&name)).then(|| format!("grants.headers doesn't have the header {named:?}, {seen}"))
        }
        Grant::Query => {
            (!grants.parameter(named)).then(|| format!("grants.query doesn't have the parameter {named:?}, {seen}"))
        }
        Grant::Http => {
            let uri: Uri = named.parse().ok()?;
            let (scheme, host) = (uri.scheme_str()?, uri.host()?);
            let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
            (!grants.reaches(&uri))
                .then(|| format!("grants.http doesn't cover {scheme}://{host}{port}, so requests there are denied"))
        }
        Grant::Negotiate => match grants.negotiate.as_deref() {
            Some(granted) if granted == named => None,
            Some(granted) => Some(format!("grants.negotiate is {granted:?}, so no token can be verified")),
            None => Some("grants.negotiate is missing, so no token can be verified".to_owned()),
        },
    }
}

/// The message about requests that may take longer than a call. `None` if they fit.
fn too_slow(count: u32, each: Duration, deadline: Duration) -> Option<String> {
    (each.saturating_mul(count) >= deadline).then(|| {
        let requests = match count {
            1 => "a request".to_owned(),
            _ => format!("{count} requests in a row"),
        };
        format!("{requests} may take longer than limits.deadline, which is {deadline:?}")
    })
}

/// A duration in settings: seconds, or a number with a unit. `None` if it is neither.
fn span(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs),
        Value::String(text) => humantime::parse_duration(text).ok(),
        _ => None,
    }
}
