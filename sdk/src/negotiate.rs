//! Kerberos over HTTP (scheme Negotiate, RFC 4559). The gateway checks the token with a key that no plugin sees; what the
//! principal means is the plugin's to say.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::host;

/// Who made a token, proven by Kerberos.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Accepted {
    /// The client's principal with its realm, as MIT krb5 displays it: `alice@EXAMPLE.ORG`. A slash, an at sign or a
    /// backslash inside a component has a backslash before it.
    pub principal: String,
    /// The answer to the client, if it wants one.
    pub reply: Option<Vec<u8>>,
    /// How many more seconds the client's ticket holds. No session should outlast it.
    pub expires_in: u64,
    /// Whether the token was made for this very TLS connection (RFC 5929, `tls-server-end-point`).
    pub channel_bound: bool,
}

impl Accepted {
    /// Somebody with a ticket that holds for so many seconds, and no reply; for tests.
    pub fn new(principal: impl Into<String>, expires_in: u64) -> Self {
        Self {
            principal: principal.into(),
            reply: None,
            expires_in,
            channel_bound: false,
        }
    }

    /// Adds an answer to the client; for tests.
    pub fn with_reply(mut self, reply: impl Into<Vec<u8>>) -> Self {
        self.reply = Some(reply.into());
        self
    }

    /// The answer as the value of `WWW-Authenticate`; none: the client wants none. It belongs on the response to this
    /// very request, whatever its status.
    pub fn www_authenticate(&self) -> Option<String> {
        let reply = self.reply.as_ref()?;
        Some(format!("Negotiate {}", BASE64_STANDARD.encode(reply)))
    }
}

/// Why nobody was proven. The gateway's log says more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The operator didn't grant this acceptor (`grants.negotiate`).
    Denied,
    /// The client wants to exchange more tokens than one.
    NeedsAnotherLeg,
    /// The token isn't a valid one for this service, now.
    Rejected,
    /// It can't be said now.
    Unavailable,
}

/// Accepts a token with the keys of the acceptor that the operator configured under this name, at most four times in a
/// call. [`Request::negotiate`](crate::Request::negotiate) reads the token.
///
/// # Errors
///
/// When the token proves nobody, or nobody can say.
pub fn accept(acceptor: &str, token: &[u8]) -> Result<Accepted, Failure> {
    host::negotiate(acceptor, token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn without_a_gateway_nothing_is_granted() {
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
