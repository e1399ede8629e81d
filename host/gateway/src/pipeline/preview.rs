//! The last step of `explain`: describes what would happen to a request, without sending it to an upstream.

use std::sync::Arc;

use http::HeaderMap;
use http::StatusCode;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use portcullis::Renewal;
use portcullis::decision::Permits;
use portcullis::decision::Step;
use portcullis_wire::peer::Peer;

use crate::generation::Route;
use crate::headers::identity;
use crate::pipeline::Accepted;
use crate::pipeline::Gateway;
use crate::pipeline::entrance::Entrance;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::sender::Sender;

/// What would happen to a request.
#[derive(Debug)]
pub(crate) struct Preview {
    /// The route. `None` if no route matches.
    pub(crate) route: Option<Arc<Route>>,
    /// What is known about the sender. `None` if no route matches.
    pub(crate) sender: Option<Sender>,
    /// What each authorizer was asked and said.
    pub(crate) authorizer_steps: Vec<Step>,
    /// What they permit. Empty if the request would not be forwarded.
    pub(crate) permits: Permits,
    /// How the request would end.
    pub(crate) outcome: PreviewOutcome,
}

/// How a request would end.
#[derive(Debug)]
pub(crate) enum PreviewOutcome {
    /// The gateway would answer the request itself.
    Answer {
        /// The status of the response.
        status: StatusCode,
        /// The reason. `None` if a plugin decided: the steps have the reasons.
        why: Option<String>,
        /// What the response says of coming in: its challenges, and where a browser is sent.
        headers: HeaderMap,
    },
    /// The request would be forwarded to the route's upstream.
    Forward {
        /// The headers that tell the upstream who the user is.
        identity: HeaderMap,
        /// A further condition that was not checked.
        condition: Option<String>,
    },
    /// The gateway would answer with a page of its own.
    Internal,
}

impl Gateway {
    /// Describes what would happen to a request of this peer.
    pub(crate) async fn preview(&self, peer: Peer, scheme: Scheme, parts: Parts) -> Preview {
        let generation = self.generation();
        let client = generation.client(peer, scheme, &parts.headers);
        match self.read_and_decide(generation, Entrance::Explain, client, parts).await {
            Ok(Accepted::Forward(outgoing)) => Preview::forward(*outgoing),
            Ok(Accepted::Internal(_)) => Preview {
                route: None,
                sender: None,
                authorizer_steps: Vec::new(),
                permits: Permits::default(),
                outcome: PreviewOutcome::Internal,
            },
            Err(rejection) => Preview::reject(rejection),
        }
    }
}

impl Preview {
    fn forward(outgoing: Outgoing) -> Self {
        let mut headers = HeaderMap::new();
        let set = identity::set(
            &mut headers,
            &outgoing.route().identity,
            outgoing.route().assertions.as_deref(),
            outgoing.user(),
            outgoing.permits(),
        );
        let condition = match outgoing.sender() {
            Sender::Upstream { scheme } => Some(format!("the upstream accepts the credentials (scheme {scheme})")),
            Sender::Decided(decided) if decided.renewal == Some(Renewal::Unasked) => {
                let login = decided.due.as_deref().unwrap_or_default();
                let authorized = outgoing.condition().map(|condition| format!(", and {condition}"));
                let authorized = authorized.unwrap_or_default();
                Some(format!("the login {login} says that the session goes on{authorized}"))
            }
            Sender::Preflight | Sender::Public | Sender::Decided(_) => outgoing.condition().map(str::to_owned),
        };
        let outcome = match set {
            Ok(_) => PreviewOutcome::Forward {
                identity: headers,
                condition,
            },
            Err(error) => PreviewOutcome::answer(StatusCode::FORBIDDEN, Some(error.to_string())),
        };
        let route = Some(Arc::clone(outgoing.route()));
        let permits = outgoing.permits().clone();
        let (sender, authorizer_steps) = outgoing.into_sender();
        Self {
            route,
            sender: Some(sender),
            authorizer_steps,
            permits,
            outcome,
        }
    }

    fn reject(rejection: Rejection) -> Self {
        let Rejection::Denied(denied) = rejection else {
            return Self {
                route: None,
                sender: None,
                authorizer_steps: Vec::new(),
                permits: Permits::default(),
                outcome: PreviewOutcome::answer(rejection.status(), Some(rejection.to_string())),
            };
        };
        let said = denied.response.headers().iter();
        let said = said.filter(|(name, _)| [header::LOCATION, header::WWW_AUTHENTICATE].contains(name));
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(name, value.clone());
        }
        Self {
            outcome: PreviewOutcome::Answer {
                status: denied.response.status(),
                why: denied.why,
                headers,
            },
            route: Some(denied.route),
            sender: Some(denied.sender),
            authorizer_steps: denied.authorizer_steps,
            permits: Permits::default(),
        }
    }
}

impl PreviewOutcome {
    fn answer(status: StatusCode, why: Option<String>) -> Self {
        Self::Answer {
            status,
            why,
            headers: HeaderMap::new(),
        }
    }
}
