//! The session cookie's name and attributes. Where TLS allows it has the `__Host-` prefix, so that no neighbour under
//! the same domain can set it (RFC 6265bis, section 4.1.3.2).

use std::time::Duration;

use http::HeaderValue;

/// How the session cookie is set.
#[derive(Clone, Debug)]
pub struct Options {
    name: String,
    secure: bool,
    max_age: Duration,
}

impl Options {
    /// A cookie of this name. `secure` says whether clients reach the gateway over TLS: then the cookie gets the
    /// prefix `__Host-` and goes over TLS only. `max_age` bounds every session, whatever a plugin allows.
    ///
    /// None when the name isn't made of letters, digits, `-` and `_`.
    pub fn new(name: &str, secure: bool, max_age: Duration) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(allowed) {
            return None;
        }
        let prefix = if secure && !name.starts_with("__Host-") {
            "__Host-"
        } else {
            ""
        };
        Some(Self {
            name: format!("{prefix}{name}"),
            secure,
            max_age,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn max_age(&self) -> Duration {
        self.max_age
    }

    pub(super) fn set(&self, value: &str, seconds: u128) -> Option<HeaderValue> {
        HeaderValue::try_from(self.written(value, seconds)).ok()
    }

    pub(super) fn clear(&self) -> HeaderValue {
        HeaderValue::try_from(self.written("", 0)).unwrap_or(HeaderValue::from_static(""))
    }

    fn written(&self, value: &str, seconds: u128) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}",
            self.name
        )
    }
}
