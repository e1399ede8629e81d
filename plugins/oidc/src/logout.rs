//! The end of sessions. The user logs out here and then at the provider (OpenID Connect RP-Initiated Logout 1.0), or the provider says
//! that somebody has logged out there (OpenID Connect Back-Channel Logout 1.0).

use portcullis_sdk::Parameters;
use portcullis_sdk::oauth::with_query;
use portcullis_sdk::prelude::*;
use portcullis_sdk::time;
use portcullis_tokens::claims::Claims;
use portcullis_tokens::claims::times::TimeRules;
use portcullis_tokens::text::quoted;
use serde_json::Value;

use crate::Oidc;
use crate::id_token::Signed;
use crate::id_token::found;
use crate::kept::Kept;
use crate::refused;
use crate::wrong;

/// The event that a logout token must have (Back-Channel Logout, section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How old a logout token may be, in seconds. The same one may come again: what it ended stays ended.
const MAX_AGE: u64 = 5 * 60;

/// The largest logout token, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Where the provider signs the user out.
#[derive(Debug)]
pub(crate) struct EndSession {
    /// Whether the browser is sent there at all.
    pub(crate) is_used: bool,
    /// In place of what the metadata says.
    pub(crate) endpoint: Option<String>,
    /// The parameter that says where the browser goes then.
    pub(crate) return_parameter: String,
    /// Whether sessions keep the `id_token` as a hint.
    pub(crate) hints: bool,
}

impl Oidc {
    /// The URL at which the provider signs the user out.
    pub(crate) fn end_session_url(&self, keep: Option<&[u8]>, return_to: &str) -> Option<String> {
        if !self.end_session.is_used {
            return None;
        }
        let endpoint = match &self.end_session.endpoint {
            Some(endpoint) => endpoint.clone(),
            // While the provider can't be asked, the session ends here only.
            None => self.place.discover().ok()?.end_session_endpoint?,
        };
        let hint = keep.and_then(Kept::from_bytes).and_then(|kept| kept.id_token);
        let mut parameters = vec![
            ("client_id".to_owned(), self.client.id.clone()),
            (self.end_session.return_parameter.clone(), return_to.to_owned()),
        ];
        parameters.extend(hint.map(|hint| ("id_token_hint".to_owned(), hint)));
        Some(with_query(&endpoint, &parameters))
    }

    /// The handles of the sessions that a logout token of the provider ends (Back-Channel Logout, section 2.6).
    pub(crate) fn logged_out(&self, parameters: &Parameters) -> Result<Vec<String>, Refusal> {
        let token = parameters
            .get("logout_token")
            .ok_or_else(|| wrong("the notice has no logout_token"))?;
        if token.len() > MAX_TOKEN {
            return Err(wrong(format!(
                "the logout_token has {} bytes, and at most {MAX_TOKEN} are read",
                token.len()
            )));
        }
        let provider = self.place.discover()?;
        let Signed { claims, kind, .. } = self.verify_signed(&provider, token)?;
        // Older providers say JWT, or nothing.
        let is_known = |kind: &String| {
            ["logout+jwt", "JWT"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(kind))
        };
        if kind.as_ref().is_some_and(|kind| !is_known(kind)) {
            let kind = quoted(&kind.unwrap_or_default());
            return Err(wrong(format!(
                "the logout_token's type (typ) is {kind}, and must be logout+jwt"
            )));
        }
        self.check_times(&claims)?;
        check_purpose(&claims)?;
        // One session of the subject, or else all of them.
        let session = self.handle(&claims, "sid");
        let handle = session.or_else(|| self.handle(&claims, "sub"));
        handle
            .map(|handle| vec![handle])
            .ok_or_else(|| wrong("the logout_token has neither a sid nor a sub"))
    }

    fn check_times(&self, claims: &Claims) -> Result<(), Refusal> {
        let now = time::unix_seconds();
        // Providers before the final version of the standard send no `exp`.
        let times = TimeRules {
            max_lifetime: None,
            ..self.times
        };
        times.check(claims, true, now).map_err(refused)?;
        let issued = claims.registered("iat").and_then(Value::as_f64);
        let oldest = now.saturating_sub(MAX_AGE);
        match issued {
            Some(issued) if issued >= oldest as f64 => Ok(()),
            _ => Err(wrong(format!(
                "the logout_token's iat is {}, and must be one of the last {MAX_AGE} s",
                found(claims, "iat")
            ))),
        }
    }
}

/// Refuses what is no logout token: an `id_token` has a nonce and no such event.
fn check_purpose(claims: &Claims) -> Result<(), Refusal> {
    let event = claims.registered("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(wrong(format!(
            "the logout_token's events are {}, and must have {EVENT}",
            found(claims, "events")
        )));
    }
    if claims.registered("nonce").is_some() {
        return Err(wrong("the logout_token has a nonce, as only an id_token has"));
    }
    let id = claims.registered("jti").and_then(Value::as_str);
    match id {
        Some(id) if !id.is_empty() => Ok(()),
        _ => Err(wrong(format!(
            "the logout_token's jti is {}, and must be a text",
            found(claims, "jti")
        ))),
    }
}
