//! Checks the parts of an answer that all roles have in common. An answer out of bounds is never repaired, because the host
//! would have to guess the user.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use super::ConfiguredPlugin;
use crate::contract::portcullis::auth::types;
use crate::decision::Authenticated;
use crate::decision::Challenge;
use crate::decision::Claims;
use crate::decision::Identity;
use crate::decision::PluginResponse;
use crate::sandbox::PluginError;
use crate::sandbox::bounded;

/// The most header fields of an answer.
const MAX_HEADERS: usize = 32;

/// The most bytes of all names and values of these fields together.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// The largest body of a plugin's own response, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Headers about the connection and the framing, which only the server may set (RFC 9110, section 7.6.1).
const FORBIDDEN: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl ConfiguredPlugin {
    /// The user of a grant. The inner error is the reason why the user can't be accepted.
    ///
    /// What providers say of one user may hurt that user alone. If an identity out of bounds were a failure of the plugin, it
    /// would count for its circuit breaker, and one user in too many groups could keep everybody out.
    pub(crate) fn authenticated(&self, grant: types::Grant) -> Result<Result<Authenticated, String>, PluginError> {
        let types::User {
            name,
            groups,
            admin,
            attributes,
        } = grant.user;
        let response_headers = self.headers(grant.response_headers)?;
        let shown = bounded(&name);
        let identity = Identity::try_from(Claims {
            name,
            groups,
            admin,
            attributes,
        });
        Ok(match identity {
            Ok(identity) => Ok(Authenticated {
                identity: Arc::new(identity),
                authenticator: Arc::clone(self.name().shared()),
                fingerprint: Arc::clone(self.fingerprint()),
                valid_for: grant.valid_for.map(|seconds| Duration::from_secs(seconds.into())),
                response_headers,
            }),
            Err(error) => Err(format!("the user {shown:?} can't be accepted: {error}")),
        })
    }

    /// A response that the plugin itself writes.
    pub(crate) fn response(&self, response: types::Response) -> Result<PluginResponse, PluginError> {
        let status = StatusCode::from_u16(response.status)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()));
        let status = status.ok_or_else(|| PluginError::output("a response with a status outside of 200 to 599"))?;
        if response.body.len() > MAX_BODY {
            return Err(PluginError::output("a response body larger than 64 KiB"));
        }
        Ok(PluginResponse {
            status,
            headers: self.headers(response.headers)?,
            body: Bytes::from(response.body),
        })
    }

    /// The header fields of an answer.
    pub(crate) fn headers(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, PluginError> {
        if pairs.len() > MAX_HEADERS
            || pairs
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
                > MAX_HEADER_BYTES
        {
            return Err(PluginError::output("more than 32 headers, or more than 16 KiB of them"));
        }
        let reserved = &self.component().engine().shared().reserved_cookies;
        let mut headers = HeaderMap::with_capacity(pairs.len());
        for (name, value) in pairs {
            let name =
                HeaderName::try_from(name).map_err(|_| PluginError::output("a header with an impossible name"))?;
            if FORBIDDEN.contains(&name.as_str()) {
                return Err(PluginError::output(format!(
                    "a {name} header, which plugins may not set"
                )));
            }
            if name == header::SET_COOKIE && reserved.are_set_by(&value) {
                return Err(PluginError::output(
                    "a Set-Cookie header with the name of one of the gateway's own cookies",
                ));
            }
            let value = HeaderValue::try_from(value)
                .map_err(|_| PluginError::output(format!("a {name} header with a control character")))?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

/// A challenge of an answer.
pub(crate) fn challenge(offer: Option<types::Challenge>) -> Result<Option<Challenge>, PluginError> {
    let Some(types::Challenge { scheme, parameters }) = offer else {
        return Ok(None);
    };
    match Challenge::new(&scheme, parameters) {
        Some(challenge) => Ok(Some(challenge)),
        None => Err(PluginError::output("a challenge that is malformed or too long")),
    }
}
