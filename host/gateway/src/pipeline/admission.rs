//! Whether a request may go on, by what its route says: everybody, whoever its gate admits, or those and the anonymous.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use http::Response;
use http::header;
use http::request::Parts;
use portcullis::Admission;
use portcullis::AuthRequest;
use portcullis::decision::Authenticated;
use portcullis::decision::Outcome;
use portcullis::decision::Refusal;
use portcullis_wire::client::Client;

use crate::answers::response;
use crate::generation::Access;
use crate::generation::Route;
use crate::pipeline::audit;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;

/// A request that may go on, and what its response will carry.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Who sent it; none: anybody.
    pub(crate) user: Option<Authenticated>,
    set_cookie: Option<HeaderValue>,
    /// Whether nobody was asked, because the upstream verifies the request's credentials itself.
    pub(crate) upstreams_own: bool,
}

impl Pass {
    /// Adds what the authenticator and the session say to the client, whatever the response is.
    pub(crate) fn mark(self, response: Response<Body>) -> Response<Body> {
        let response = match &self.user {
            Some(user) => with_headers(response, user),
            None => response,
        };
        with_cookie(response, self.set_cookie)
    }
}

/// Asks the gate of a route. The error is the answer to a request that may not go on.
pub(crate) async fn admit(
    route: &Route,
    client: &Client,
    target: &Target,
    parts: &mut Parts,
) -> Result<Pass, Box<Response<Body>>> {
    if let Some(scheme) = left_to_upstream(route, target, parts) {
        entry(route, client, target, parts).passed_on(scheme);
        return Ok(Pass {
            user: None,
            set_cookie: None,
            upstreams_own: true,
        });
    }
    let asked = Instant::now();
    let Some(admission) = ask(route, client, target, parts).await else {
        return Ok(Pass {
            user: None,
            set_cookie: None,
            upstreams_own: false,
        });
    };
    let answer = refusal(&route.access, &admission.decision.outcome);
    entry(route, client, target, parts).decided(&admission, answer.as_ref().map(Response::status), asked.elapsed());
    match answer {
        Some(response) => Err(Box::new(with_cookie(response, admission.set_cookie))),
        None => {
            let user = match admission.decision.outcome {
                Outcome::Grant(user) => Some(user),
                Outcome::Refuse(_) => None,
            };
            Ok(Pass {
                user,
                set_cookie: admission.set_cookie,
                upstreams_own: false,
            })
        }
    }
}

/// The scheme of credentials that the upstream verifies itself; none: they are the gateway's business.
pub(crate) fn left_to_upstream<'a>(route: &'a Route, target: &Target, parts: &Parts) -> Option<&'a str> {
    let exceptions = &route.upstream_credentials;
    exceptions.scheme(&parts.method, &target.path, &parts.headers)
}

fn entry<'a>(route: &'a Route, client: &'a Client, target: &'a Target, parts: &'a Parts) -> audit::Entry<'a> {
    audit::Entry {
        client,
        method: &parts.method,
        route: &route.name,
        target,
    }
}

/// What the gate of a route says to a request; none: nobody is asked. The headers are lent to the question and come back.
pub(crate) async fn ask(route: &Route, client: &Client, target: &Target, parts: &mut Parts) -> Option<Admission> {
    let gate = route.access.gate()?;
    let question = Arc::new(question(client, target, parts));
    let admission = gate.admit(&question).await;
    // A call that was given up may still hold the question.
    parts.headers = Arc::unwrap_or_clone(question).headers;
    Some(admission)
}

/// The answer to a request that may not go on; none: it may.
pub(crate) fn refusal(access: &Access, outcome: &Outcome) -> Option<Response<Body>> {
    match (outcome, access) {
        (Outcome::Grant(_), _) => None,
        (Outcome::Refuse(Refusal::Unauthenticated { credentials: false, .. }), Access::Optional(_)) => None,
        (Outcome::Refuse(refusal), _) => Some(response::refusal(refusal)),
    }
}

fn question(client: &Client, target: &Target, parts: &mut Parts) -> AuthRequest {
    AuthRequest {
        method: parts.method.clone(),
        scheme: client.scheme.clone(),
        authority: target.authority.clone(),
        path: target.path.as_str().to_owned(),
        query: target.query.clone(),
        headers: std::mem::take(&mut parts.headers),
        client_address: client.address,
        client_certificate: client.certificate.clone(),
        channel_binding: client.channel_binding.clone(),
    }
}

/// A header that an authenticator sends takes the place of the upstream's, unless both may stand side by side.
fn with_headers(mut response: Response<Body>, user: &Authenticated) -> Response<Body> {
    let headers = response.headers_mut();
    for name in user.response_headers().keys() {
        if *name != header::SET_COOKIE && *name != header::WWW_AUTHENTICATE {
            headers.remove(name);
        }
    }
    for (name, value) in user.response_headers() {
        headers.append(name, value.clone());
    }
    response
}

/// A response that hands out a session is for one client only: no cache on the way may give it to the next.
fn with_cookie(mut response: Response<Body>, cookie: Option<HeaderValue>) -> Response<Body> {
    if let Some(cookie) = cookie {
        let headers = response.headers_mut();
        headers.append(header::SET_COOKIE, cookie);
        if headers
            .get(header::CACHE_CONTROL)
            .is_none_or(|stored| stored != "no-store")
        {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }
    response
}
