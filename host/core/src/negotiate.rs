//! Tokens of the HTTP authentication scheme Negotiate (RFC 4559). The application that embeds this crate has the keys
//! and accepts the tokens; a plugin names the acceptor that its grants allow and is told which principal a token
//! proves.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;

/// The longest token that is accepted, in bytes. A ticket of Active Directory lists all groups of its user.
pub const MAX_NEGOTIATE_TOKEN: usize = 64 << 10;

/// Accepts tokens for one service, with its keys.
pub trait Negotiator: fmt::Debug + Send + Sync {
    /// Accepts a token and returns the principal that it proves. The future is dropped at the token's deadline.
    fn accept(&self, token: NegotiateToken) -> NegotiateFuture<'_>;
}

/// The future of [`Negotiator::accept`].
pub type NegotiateFuture<'a> = Pin<Box<dyn Future<Output = Result<Negotiated, NegotiateError>> + Send + 'a>>;

/// A token as a client sent it.
#[non_exhaustive]
pub struct NegotiateToken {
    /// The token: 1 to [`MAX_NEGOTIATE_TOKEN`] bytes. Never log it.
    pub bytes: Vec<u8>,
    /// The channel binding that a bound token must match: [`AuthRequest::channel_binding`]. `None` if the request has
    /// none.
    ///
    /// [`AuthRequest::channel_binding`]: crate::AuthRequest::channel_binding
    pub channel_binding: Option<Bytes>,
    /// When the plugin's call ends. A later result is discarded.
    pub deadline: Instant,
}

impl fmt::Debug for NegotiateToken {
    /// Omits the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NegotiateToken")
            .field("length", &self.bytes.len())
            .field("bound", &self.channel_binding.is_some())
            .finish_non_exhaustive()
    }
}

/// The result of an accepted token.
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "built by applications that implement Negotiator"
)]
pub struct Negotiated {
    /// The principal with its realm, as GSS-API displays it: `alice@EXAMPLE.COM`.
    pub principal: String,
    /// The token for the client. `None` if the mechanism sends none.
    pub reply: Option<Vec<u8>>,
    /// The remaining lifetime of the client's ticket, in seconds.
    pub expires_in: u64,
    /// Whether the token was bound to the TLS connection of the request (RFC 5056).
    pub channel_bound: bool,
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiated")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// Why a token is not accepted. The texts are for the operator: they may quote the client, and are escaped before they
/// are logged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the contract has the same cases")]
pub enum NegotiateError {
    /// The mechanism needs more than one token from the client.
    #[error("its client wants to exchange more tokens than one")]
    NeedsAnotherLeg,
    /// The token is not valid.
    #[error("{0}")]
    Reject(String),
    /// The token can't be checked now.
    #[error("{0}")]
    Unavailable(String),
}
