//! Authentication. The gate of a request's route decides who sent it, unless the route is public or the upstream
//! verifies the credentials itself.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use http::HeaderName;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use portcullis::AuthRequest;
use portcullis::Renewal;
use portcullis::ResponseHeaders;
use portcullis::Standing;
use portcullis::decision::Outcome;
use portcullis::decision::Permits;
use portcullis::decision::Refusal;
use portcullis::decision::Step;
use portcullis::session::Session;

use crate::answers::response;
use crate::generation::Access;
use crate::generation::Generation;
use crate::generation::Route;
use crate::headers::cors;
use crate::headers::credentials;
use crate::headers::origin;
use crate::headers::subprotocol;
use crate::login;
use crate::pipeline::audit;
use crate::pipeline::audit::Denial;
use crate::pipeline::audit::Permitted;
use crate::pipeline::audit::refusal_outcome;
use crate::pipeline::decisions::Decider;
use crate::pipeline::entrance::Entrance;
use crate::pipeline::record::Record;
use crate::pipeline::rejection::Denied;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::request::Received;
use crate::pipeline::sender::Decided;
use crate::pipeline::sender::Sender;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;
use crate::telemetry::Phase;

/// A request that has passed authentication. Only [`admit`] makes one.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(super) route: Arc<Route>,
    pub(super) request: Received,
    /// The headers that a front has to remove.
    pub(super) removed: Vec<HeaderName>,
    pub(super) sender: Sender,
    /// What the authenticator and the session add to the response, whatever its status.
    pub(super) for_client: ResponseHeaders,
    /// What the route's authorizers permit.
    pub(super) permits: Permits,
    /// What each authorizer was asked and said.
    pub(super) authorizer_steps: Vec<Step>,
    /// The login that may start a new session without asking the user, because only the browser can tell whether the old one
    /// goes on. `None` if there is none.
    silent_login: Option<String>,
    /// How long the authentication took, if its line in the audit log waits for what authorizers say. `None` if there is
    /// nothing to log, or if it is logged.
    unlogged: Option<Duration>,
}

impl Admitted {
    /// The request, for a line of the audit log.
    pub(super) fn entry(&self) -> audit::Entry<'_> {
        entry(&self.route, &self.request)
    }

    /// Logs that the authenticators let the request pass, unless that is logged, and what authorizers say who permit it.
    pub(super) fn log_decision(&mut self, permitted: Option<Duration>) {
        let (Some(elapsed), Sender::Decided(decided)) = (self.unlogged.take(), &self.sender) else {
            return;
        };
        let permitted = permitted.map(|elapsed| Permitted {
            steps: &self.authorizer_steps,
            elapsed,
        });
        self.entry().decided(decided, None, None, elapsed, permitted);
    }

    /// Logs that somebody whom the authenticators let pass is denied.
    pub(super) fn log_denial(&mut self, denial: &Denial<'_>) {
        self.log_decision(None);
        self.entry().denied(self.sender.user(), denial);
    }

    /// Rejects the request after authentication. `why` is for the operator.
    pub(super) fn deny(self, decider: Decider, mut response: Response<Body>, why: Option<String>) -> Rejection {
        self.for_client.apply(response.headers_mut());
        if let Some(cors) = &self.route.config.cors {
            let origin = self.request.parts.headers.get(header::ORIGIN);
            cors::allow(cors, origin, response.headers_mut());
        }
        Rejection::Denied(Box::new(Denied {
            route: self.route,
            request: self.request,
            sender: self.sender,
            decider,
            response,
            why,
            authorizer_steps: self.authorizer_steps,
        }))
    }

    /// The response to a request that is refused: for a browser it may be the way to log in.
    pub(super) fn answer(&self, generation: &Generation, refusal: &Refusal) -> Response<Body> {
        let visit = self.request.visit(generation);
        let sent = match &self.silent_login {
            Some(name) => login::answer_refused(&visit, std::slice::from_ref(name), true, refusal),
            None => login::answer_refused(&visit, &self.route.logins, false, refusal),
        };
        sent.unwrap_or_else(|| response::refusal(refusal))
    }

    /// Rejects a WebSocket that a page of another origin opens with the session of a user. Who sends credentials with it has
    /// them, and means it.
    fn without_foreign_opener(mut self, entrance: Entrance) -> Result<Self, Rejection> {
        let Sender::Decided(decided) = &self.sender else {
            return Ok(self);
        };
        let user = decided.decision.outcome.user().filter(|_| decided.session.is_some());
        if user.is_none() {
            return Ok(self);
        }
        let authority = self.request.target.authority.as_deref();
        let opener = origin::foreign_opener(&self.request.parts.headers, authority, self.route.config.cors.as_ref());
        let Some(opener) = opener else { return Ok(self) };
        let why = format!(
            "a page of {opener:?} opens a WebSocket with the user's session; the route's cors can list its origin"
        );
        let decider = Decider {
            outcome: "forbid",
            by: "origin",
        };
        if entrance.serves() {
            let denial = Denial {
                why: &why,
                status: StatusCode::FORBIDDEN,
                ..Denial::new(decider)
            };
            self.log_denial(&denial);
        }
        let response = response::error(StatusCode::FORBIDDEN, "Forbidden");
        Err(self.deny(decider, response, Some(why)))
    }

    fn without_decision(route: Arc<Route>, request: Received, removed: Vec<HeaderName>, sender: Sender) -> Self {
        Self {
            route,
            request,
            removed,
            sender,
            for_client: ResponseHeaders::default(),
            permits: Permits::default(),
            authorizer_steps: Vec::new(),
            silent_login: None,
            unlogged: None,
        }
    }
}

/// Asks the gate of the route who sent the request. `removed` are the headers that a front has to remove.
pub(super) async fn admit(
    entrance: Entrance,
    generation: &Generation,
    route: Arc<Route>,
    mut request: Received,
    removed: Vec<HeaderName>,
) -> Result<Admitted, Rejection> {
    let Some(gate) = route.access.gate() else {
        return Ok(Admitted::without_decision(route, request, removed, Sender::Public));
    };
    let (parts, target) = (&request.parts, &request.target);
    if route.config.passes_preflight && cors::is_preflight(&parts.method, &parts.headers) {
        return Ok(Admitted::without_decision(route, request, removed, Sender::Preflight));
    }
    let exceptions = &route.config.upstream_credentials;
    if let Some(scheme) = exceptions.scheme(&parts.method, &target.path, &parts.headers) {
        let scheme = scheme.to_owned();
        if entrance.serves() {
            entry(&route, &request).forwarded_unverified(&scheme);
        }
        return Ok(Admitted::without_decision(
            route,
            request,
            removed,
            Sender::Upstream { scheme },
        ));
    }
    if let Some(prefix) = &route.config.websocket_token
        && let Some(offered) = subprotocol::take(prefix, &mut request.parts.headers).map_err(Rejection::malformed)?
    {
        request.parts.extensions.insert(offered);
    }
    let started = Instant::now();
    let auth_request = Arc::new(auth_request(&route, &mut request));
    let admission = match entrance.serves() {
        true => gate.admit(&auth_request).await,
        // Boxed, because every request would hold room for it.
        false => Box::pin(gate.explain(&auth_request)).await,
    };
    if auth_request.headers.contains_key(header::UPGRADE)
        && let (true, Some(session)) = (admission.via_session, &admission.session)
    {
        request.parts.extensions.insert(Standing::new(session, &auth_request));
    }
    // A call that timed out may still hold a reference.
    request.parts.headers = Arc::unwrap_or_clone(auth_request).headers;
    let session = admission.session.as_ref().filter(|_| admission.via_session);
    let (session, session_error) = (session.map(Session::id).copied(), admission.session_error);
    // Its login is asked again without asking the user, unless it isn't offered here.
    let silent = match (&admission.renewal, &admission.session) {
        (Some(Renewal::Silent), Some(session)) => {
            let own = |name: &&String| name.as_str() == session.authenticator();
            route.logins.iter().find(own).cloned()
        }
        _ => None,
    };
    let renewal = admission.renewal.clone();
    let due = admission.session.as_ref().filter(|_| renewal.is_some());
    let due = due.map(|session| session.authenticator().to_owned());
    let (decision, for_client) = admission.into_parts();
    let decided = Decided {
        decision,
        session,
        session_error,
        renewal,
        due,
    };
    if let Some(record) = Record::of(&request.parts) {
        record.set_authentication(started.elapsed());
        if let Some(user) = decided.decision.outcome.user() {
            record.set_user(user.identity().name());
        }
        if let Some(trace) = record.trace() {
            let outcome = &decided.decision.outcome;
            trace.phase(&Phase {
                name: "authenticate",
                outcome: match (outcome, refusal(&route.access, outcome)) {
                    (Outcome::Grant(_), _) => "grant",
                    (Outcome::Refuse(_), None) => "anonymous",
                    (Outcome::Refuse(_), Some(refusal)) => refusal_outcome(refusal),
                },
                by: if session.is_some() { "session" } else { "authenticator" },
                elapsed: started.elapsed(),
                role: "authenticator",
                steps: &decided.decision.steps,
            });
        }
    }
    let mut admitted = Admitted {
        route,
        request,
        removed,
        sender: Sender::Decided(Box::new(decided)),
        for_client,
        permits: Permits::default(),
        authorizer_steps: Vec::new(),
        silent_login: silent,
        unlogged: None,
    };
    let Sender::Decided(decided) = &admitted.sender else {
        return Ok(admitted);
    };
    let refusal = refusal(&admitted.route.access, &decided.decision.outcome);
    let refusal = refusal.map(|refusal| (refusal_outcome(refusal), admitted.answer(generation, refusal)));
    match refusal {
        Some((outcome, response)) => {
            if entrance.serves() {
                let claimed = credentials::claimed_user(&admitted.request.parts.headers);
                let (entry, status) = (admitted.entry(), Some(response.status()));
                entry.decided(decided, claimed.as_deref(), status, started.elapsed(), None);
            }
            let by = "authenticator";
            Err(admitted.deny(Decider { outcome, by }, response, None))
        }
        None => {
            admitted.unlogged = entrance.serves().then(|| started.elapsed());
            if admitted.route.authorizers.is_empty() {
                admitted.log_decision(None);
            }
            admitted.without_foreign_opener(entrance)
        }
    }
}

/// Why a request is refused. `None` if it may pass: an optional route accepts requests without credentials.
fn refusal<'a>(access: &Access, outcome: &'a Outcome) -> Option<&'a Refusal> {
    match (outcome, access) {
        (Outcome::Grant(_), _) => None,
        (Outcome::Refuse(refusal), Access::Optional(_)) if refusal.lacks_credentials() => None,
        (Outcome::Refuse(refusal), _) => Some(refusal),
    }
}

fn entry<'a>(route: &'a Route, request: &'a Received) -> audit::Entry<'a> {
    audit::Entry {
        id: request.id(),
        client: &request.client,
        method: &request.parts.method,
        route: &route.name,
        target: &request.target,
    }
}

/// What the plugins get. It borrows the request's headers by taking them; the caller puts them back.
pub(super) fn auth_request(route: &Route, request: &mut Received) -> AuthRequest {
    let id = request.id().map(ToString::to_string);
    let Received { client, target, parts } = request;
    let Target { authority, path, query } = target;
    let Parts { method, headers, .. } = parts;
    AuthRequest {
        method: method.clone(),
        scheme: client.scheme.clone(),
        authority: authority.clone(),
        path: path.as_str().to_owned(),
        query: query.clone(),
        headers: std::mem::take(headers),
        client_address: client.address,
        client_certificate: client.certificate.clone(),
        channel_binding: client.channel_binding.clone(),
        route: Some(Arc::clone(&route.shared_name)),
        id,
    }
}
