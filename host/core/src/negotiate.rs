//! Tokens of HTTP's scheme Negotiate (RFC 4559), accepted by whoever embeds this crate: it has the keys, no plugin sees
//! one. A plugin asks by the name that its grants have, and hears who the token proves.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;

/// Longest token that is accepted, in bytes. Tickets of Active Directory list every group of a user.
pub const MAX_NEGOTIATE_TOKEN: usize = 64 << 10;

/// Accepts tokens for one service, with its keys.
pub trait Negotiator: fmt::Debug + Send + Sync {
    /// Says who a token proves, by its deadline. A future that is dropped was given up.
    fn accept(&self, token: NegotiateToken) -> NegotiateFuture<'_>;
}

/// What [`Negotiator::accept`] comes to.
pub type NegotiateFuture<'a> = Pin<Box<dyn Future<Output = Result<Negotiated, NegotiateError>> + Send + 'a>>;

/// A token as a client sent it.
#[non_exhaustive]
pub struct NegotiateToken {
    /// At least one byte, at most [`MAX_NEGOTIATE_TOKEN`]. Never log it.
    pub bytes: Vec<u8>,
    /// What the client must have bound it to, if it bound it to anything: [`AuthRequest::channel_binding`].
    ///
    /// [`AuthRequest::channel_binding`]: crate::AuthRequest::channel_binding
    pub channel_binding: Option<Bytes>,
    /// When the plugin's call ends; an answer that comes later is lost.
    pub deadline: Instant,
}

impl fmt::Debug for NegotiateToken {
    /// Leaves out the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NegotiateToken")
            .field("length", &self.bytes.len())
            .field("bound", &self.channel_binding.is_some())
            .finish_non_exhaustive()
    }
}

/// Who made a token.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever embeds this crate")]
pub struct Negotiated {
    /// The principal with its realm, as GSS-API displays it.
    pub principal: String,
    /// What the client wants to hear back.
    pub reply: Option<Vec<u8>>,
    /// How many more seconds its ticket holds.
    pub expires_in: u64,
    /// Whether it was bound to the connection that it came over (RFC 5056).
    pub channel_bound: bool,
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiated")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// Why a token proves nobody. Each text is for the operator: it may quote what a client sent, and is escaped before it is
/// logged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a plugin hears the same four words")]
pub enum NegotiateError {
    /// The client wants to exchange more tokens than one.
    #[error("its client wants to exchange more tokens than one")]
    NeedsAnotherLeg,
    /// It is not valid.
    #[error("{0}")]
    Reject(String),
    /// Nobody can say.
    #[error("{0}")]
    Unavailable(String),
}
