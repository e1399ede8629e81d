//! What a session keeps for its renewal and its end. The gateway seals it in the session's cookie.

use portcullis_sdk::log;
use serde::Deserialize;
use serde::Serialize;

/// The most that a session keeps, in bytes.
const MAX_KEPT: usize = 2048;

/// What a session keeps. The names are short, because a cookie has little room.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Kept {
    /// Who it is: the subject that each further token must have.
    #[serde(rename = "s")]
    pub(crate) subject: String,
    /// The nonce that a further token has, if it has one.
    #[serde(rename = "n")]
    pub(crate) nonce: String,
    /// The handles by which the provider ends the session. A further token may say less than the first one: Core 1.0, section 12.2
    /// asks for no `sid`, and userinfo has no `iss`.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) handles: Vec<String>,
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    /// The token that tells the provider at a logout who it is.
    #[serde(rename = "h", skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<String>,
}

impl Kept {
    /// The bytes to keep. What doesn't fit is left out: first the `id_token`, then the refresh token. `None` if nothing is left.
    pub(crate) fn into_bytes(mut self) -> Option<Vec<u8>> {
        for _ in 0..2 {
            if self.refresh_token.is_none() && self.id_token.is_none() {
                return None;
            }
            let bytes = serde_json::to_vec(&self).unwrap_or_default();
            if bytes.len() <= MAX_KEPT {
                return Some(bytes);
            }
            let (what, instead) = match self.id_token.take() {
                Some(_) => (
                    "id_token",
                    "the provider asks the user at a logout (settings: id_token_hint)",
                ),
                None => {
                    self.refresh_token = None;
                    (
                        "refresh token",
                        "sessions are renewed silently (settings: refresh_tokens)",
                    )
                }
            };
            let size = bytes.len();
            log::warn(format!(
                "the {what} is too large for a session, which keeps {MAX_KEPT} bytes and would have {size}: {instead}"
            ));
        }
        None
    }

    /// What `into_bytes` has made. `None` if it is of another version of this plugin.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
