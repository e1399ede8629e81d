//! What the status page says of a request that was rejected: what the audit log says, and as little of the request.

use std::time::SystemTime;

use portcullis::decision::Outcome;
use portcullis::decision::Refusal;

use crate::admin::Refused;
use crate::headers::credentials;
use crate::pipeline::audit::steps_text;
use crate::pipeline::rejection::Denied;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::request::Received;
use crate::pipeline::sender::Sender;

impl Denied {
    /// `None` for a client that was only told to authenticate, or to log in.
    pub(super) fn refused(&self) -> Option<Refused> {
        let asked_to_authenticate = match &self.sender {
            Sender::Decided(decided) => matches!(
                decided.decision.outcome,
                Outcome::Refuse(Refusal::Unauthenticated { credentials: false, .. })
            ),
            Sender::Preflight | Sender::Public | Sender::Upstream { .. } => false,
        };
        let status = self.response.status();
        if asked_to_authenticate || status.is_redirection() {
            return None;
        }
        let steps = match &self.sender {
            _ if !self.authorizer_steps.is_empty() => &self.authorizer_steps,
            Sender::Decided(decided) => &decided.decision.steps,
            Sender::Preflight | Sender::Public | Sender::Upstream { .. } => &self.authorizer_steps,
        };
        let user = self.sender.user().map(|user| user.identity().name().to_owned());
        Some(Refused {
            status: status.as_u16(),
            route: Some(self.route.name.clone()),
            user: user.or_else(|| credentials::claimed_user(&self.request.parts.headers)),
            why: self.why.clone().unwrap_or_else(|| steps_text(steps)),
            ..of_request(&self.request)
        })
    }
}

/// A request that no route serves.
pub(super) fn unrouted(request: &Received, rejection: &Rejection) -> Refused {
    Refused {
        status: rejection.status().as_u16(),
        why: rejection.to_string(),
        ..of_request(request)
    }
}

fn of_request(request: &Received) -> Refused {
    Refused {
        time: SystemTime::now(),
        status: 0,
        method: request.parts.method.to_string(),
        path: request.target.path.to_string(),
        route: None,
        client: request.client.shown_address().to_string(),
        user: None,
        why: String::new(),
        request_id: request.id().map(ToString::to_string).unwrap_or_default(),
    }
}
