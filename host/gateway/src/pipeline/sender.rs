//! What the gateway knows about the sender of a request.

use portcullis::decision::Authenticated;
use portcullis::decision::Decision;
use portcullis::decision::Outcome;

/// What is known about the sender of a request.
#[derive(Debug)]
pub(crate) enum Sender {
    /// Nothing, because the request is a CORS preflight, in which browsers send no credentials.
    Preflight,
    /// Nothing, because the route is public.
    Public,
    /// The route's gate has decided.
    Decided {
        /// The decision.
        decision: Box<Decision>,
        /// Whether the request was admitted by its session, without asking an authenticator.
        via_session: bool,
    },
    /// Nothing, because the upstream verifies the credentials itself.
    Upstream {
        /// The scheme of the credentials.
        scheme: String,
    },
}

impl Sender {
    /// The user. `None` for anonymous requests, and for requests whose credentials the upstream verifies.
    pub(crate) fn user(&self) -> Option<&Authenticated> {
        match self {
            Self::Decided { decision, .. } => match &decision.outcome {
                Outcome::Grant(user) => Some(user),
                Outcome::Refuse(_) => None,
            },
            Self::Preflight | Self::Public | Self::Upstream { .. } => None,
        }
    }
}
