//! What would happen to a request, for an operator who asks before a client does. It takes the way of a real one, up to
//! where something would be sent.

use std::sync::Arc;

use http::HeaderMap;
use http::StatusCode;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use portcullis::Admission;
use portcullis::decision::Authenticated;
use portcullis::decision::Outcome;
use portcullis_wire::peer::Peer;

use crate::generation::Opening;
use crate::generation::Route;
use crate::headers::identity;
use crate::pipeline::admission;
use crate::pipeline::flow::Gateway;
use crate::pipeline::target::Target;

/// What would happen to a request.
#[derive(Debug)]
pub(crate) struct Preview<'a> {
    /// Its route; none: none serves it.
    pub(crate) route: Option<&'a Route>,
    /// Where it lets in more than the route around it.
    pub(crate) openings: Vec<&'a Opening>,
    /// What the route's gate says; none: nobody is asked.
    pub(crate) admission: Option<Admission>,
    /// How it ends.
    pub(crate) ending: Ending,
}

/// How a request would end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The gateway answers.
    Answer {
        /// With this status.
        status: StatusCode,
        /// Because of this; none: the gate says so.
        why: Option<String>,
        /// And with these challenges.
        challenges: HeaderMap,
    },
    /// It goes on to the route's upstream.
    Forward {
        /// The headers that tell the upstream who the user is.
        identity: HeaderMap,
        /// What has to be true besides, and isn't looked into.
        proviso: Option<String>,
    },
    /// The gateway answers it with a page of its own.
    Own,
}

impl Gateway {
    /// Says what would happen to a request from this peer.
    pub(crate) async fn preview(&self, peer: Peer, scheme: Scheme, mut parts: Parts) -> Preview<'_> {
        let client = self.client(peer, scheme, &parts.headers);
        let ended = |ending| Preview {
            route: None,
            openings: Vec::new(),
            admission: None,
            ending,
        };
        let (target, route) = match self.destination(&client, &mut parts) {
            Ok((target, Some(route))) => (target, route),
            Ok((_, None)) => return ended(Ending::Own),
            Err(unserved) => return ended(Ending::answer(unserved.answer().status(), Some(unserved.to_string()))),
        };
        let openings = self.generation().openings().iter();
        let openings = Vec::from_iter(openings.filter(|opening| Arc::ptr_eq(&opening.route, route)));
        if let Some(scheme) = admission::left_to_upstream(route, &target, &parts) {
            let proviso = format!("the upstream takes the credentials, whose scheme {scheme} is left to it");
            let ending = Ending::Forward {
                identity: HeaderMap::new(),
                proviso: Some(proviso),
            };
            return Preview {
                route: Some(route),
                openings,
                admission: None,
                ending,
            };
        }
        let admission = admission::ask(route, &client, &target, &mut parts).await;
        let ending = ending(route, admission.as_ref()).authorized(route, &target);
        Preview {
            route: Some(route),
            openings,
            admission,
            ending,
        }
    }
}

impl Ending {
    /// The same, with what the upstream would be asked before the request goes on.
    fn authorized(self, route: &Route, target: &Target) -> Self {
        match (self, &route.authorize, &route.upstream) {
            (Self::Forward { identity, .. }, Some(with), Some(upstream)) => match with.template.bind(&target.path) {
                Ok(path) => Self::Forward {
                    identity,
                    proviso: Some(format!(
                        "{} {upstream}{path} is answered 2xx for this user",
                        with.template.method()
                    )),
                },
                Err(unbound) => Self::answer(unbound.answer().status(), Some(unbound.to_string())),
            },
            (ending, ..) => ending,
        }
    }

    fn answer(status: StatusCode, why: Option<String>) -> Self {
        Self::Answer {
            status,
            why,
            challenges: HeaderMap::new(),
        }
    }

    fn forward(identity: HeaderMap) -> Self {
        Self::Forward {
            identity,
            proviso: None,
        }
    }
}

fn ending(route: &Route, admission: Option<&Admission>) -> Ending {
    let Some(admission) = admission else {
        return Ending::forward(HeaderMap::new());
    };
    let outcome = &admission.decision.outcome;
    if let Some(response) = admission::refusal(&route.access, outcome) {
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let challenges = challenges
            .map(|challenge| (header::WWW_AUTHENTICATE, challenge.clone()))
            .collect();
        return Ending::Answer {
            status: response.status(),
            why: None,
            challenges,
        };
    }
    match outcome {
        Outcome::Grant(user) => as_user(route, user),
        Outcome::Refuse(_) => Ending::forward(HeaderMap::new()),
    }
}

fn as_user(route: &Route, user: &Authenticated) -> Ending {
    let mut headers = HeaderMap::new();
    match identity::set(&mut headers, &route.identity, user) {
        Ok(()) => Ending::forward(headers),
        Err(error) => Ending::answer(StatusCode::FORBIDDEN, Some(error.to_string())),
    }
}
