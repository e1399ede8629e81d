//! What the gateway knows about the sender of a request.

use portcullis::Renewal;
use portcullis::decision::Authenticated;
use portcullis::decision::Decision;
use portcullis::session::SessionError;
use portcullis::session::SessionId;

/// What is known about the sender of a request.
#[derive(Debug)]
pub(crate) enum Sender {
    /// Nothing, because the request is a CORS preflight, in which browsers send no credentials.
    Preflight,
    /// Nothing, because the route is public.
    Public,
    /// The route's gate has decided.
    Decided(Box<Decided>),
    /// Nothing, because the upstream verifies the credentials itself.
    Upstream {
        /// The scheme of the credentials.
        scheme: String,
    },
}

/// What the route's gate has decided.
#[derive(Debug)]
pub(crate) struct Decided {
    /// The decision.
    pub(crate) decision: Decision,
    /// The session that admitted the request, without asking an authenticator. `None` if none did.
    pub(crate) session: Option<SessionId>,
    /// Why the session cookie wasn't accepted. `None` if it was, or if there is none.
    pub(crate) session_error: Option<SessionError>,
    /// What came of the attempt to renew the session. `None` if it wasn't due.
    pub(crate) renewal: Option<Renewal>,
    /// The login of a session that was due and isn't over.
    pub(crate) due: Option<String>,
}

impl Sender {
    /// The user. `None` for anonymous requests, and for requests whose credentials the upstream verifies.
    pub(crate) fn user(&self) -> Option<&Authenticated> {
        match self {
            Self::Decided(decided) => decided.decision.outcome.user(),
            Self::Preflight | Self::Public | Self::Upstream { .. } => None,
        }
    }
}
