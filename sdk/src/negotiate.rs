//! Kerberos over HTTP (the Negotiate scheme, RFC 4559). The gateway verifies the token with a key that no plugin sees;
//! the plugin decides which user the principal is.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::host;

/// The client that a valid token identifies.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Accepted {
    /// The client's principal with its realm, as MIT krb5 displays it: `alice@EXAMPLE.ORG`. A slash, an at sign or a
    /// backslash inside a component is escaped with a backslash.
    pub principal: String,
    /// The token to send back to the client. `None` if the client needs none.
    pub reply: Option<Vec<u8>>,
    /// The remaining lifetime of the client's ticket, in seconds. No session should outlast it.
    pub expires_in: u64,
    /// Whether the token is bound to this TLS connection (RFC 5929, `tls-server-end-point`).
    pub channel_bound: bool,
}

impl Accepted {
    /// A client whose ticket is valid for `expires_in` seconds, without a reply. For tests.
    pub fn new(principal: impl Into<String>, expires_in: u64) -> Self {
        Self {
            principal: principal.into(),
            reply: None,
            expires_in,
            channel_bound: false,
        }
    }

    /// Adds a token to send back to the client. For tests.
    pub fn with_reply(mut self, reply: impl Into<Vec<u8>>) -> Self {
        self.reply = Some(reply.into());
        self
    }

    /// The reply as the value of a `WWW-Authenticate` header, or `None` if there is no reply. It belongs on the
    /// response to this request, whatever the status.
    pub fn www_authenticate(&self) -> Option<String> {
        let reply = self.reply.as_ref()?;
        Some(format!("Negotiate {}", BASE64_STANDARD.encode(reply)))
    }
}

/// Why a token was not accepted. The gateway's log has the details.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The operator didn't grant this acceptor (`grants.negotiate`).
    Denied,
    /// The client wants to exchange more than one token.
    NeedsAnotherLeg,
    /// The token is not valid for this service at this time.
    Rejected,
    /// The token can't be checked at the moment.
    Unavailable,
}

/// Verifies a token with the keys of the acceptor that the operator configured under this name. Each call of an
/// authenticator may verify up to four tokens. [`Request::negotiate`](crate::Request::negotiate) reads the token from
/// the request.
///
/// # Errors
///
/// Returns a [`Failure`] if the token is not accepted or can't be checked.
pub fn accept(acceptor: &str, token: &[u8]) -> Result<Accepted, Failure> {
    host::negotiate(acceptor, token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn only_a_granted_acceptor_verifies_tokens() {
        assert_eq!(accept("http", b"token"), Err(Failure::Denied));
        let host = FakeHost::start();
        assert_eq!(accept("http", b"token"), Err(Failure::Denied));
        host.negotiate("http", |token| match token {
            b"good" => Ok(Accepted::new("alice@EXAMPLE.TEST", 60).with_reply(*b"\x60\x00")),
            _ => Err(Failure::Rejected),
        });
        let alice = accept("http", b"good").unwrap();
        assert_eq!(alice.www_authenticate().as_deref(), Some("Negotiate YAA="));
        assert_eq!(accept("http", b"bad"), Err(Failure::Rejected));
        assert_eq!(accept("other", b"good"), Err(Failure::Denied));
    }
}
