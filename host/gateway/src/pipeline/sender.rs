//! Who sent a request, as far as its route wants to know.

use portcullis::decision::Authenticated;
use portcullis::decision::Decision;
use portcullis::decision::Outcome;

/// What is known of who sent a request.
#[derive(Debug)]
pub(crate) enum Sender {
    /// Nothing: the route is public.
    Public,
    /// What the route's gate decided.
    Decided {
        /// The decision.
        decision: Decision,
        /// Whether a session spoke for the request, so that no authenticator was asked.
        via_session: bool,
    },
    /// Nothing: the upstream verifies the credentials itself.
    Upstream {
        /// The scheme of the credentials.
        scheme: String,
    },
}

impl Sender {
    /// The user. `None` for anonymous requests, and where the gateway doesn't know.
    pub(crate) fn user(&self) -> Option<&Authenticated> {
        match self {
            Self::Decided { decision, .. } => match &decision.outcome {
                Outcome::Grant(user) => Some(user),
                Outcome::Refuse(_) => None,
            },
            Self::Public | Self::Upstream { .. } => None,
        }
    }
}
