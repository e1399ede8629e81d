//! The steps of one request: its target, its sender, the sender's permission, and the request that the upstream gets.
//! The public listener, the fronts and `explain` all call [`Gateway::decide`]; only their last step differs.

mod admission;
pub(crate) mod audit;
mod authorize;
pub(crate) mod decisions;
mod entrance;
mod forward;
mod head;
mod outgoing;
mod preview;
mod record;
mod refused;
mod rejection;
mod request;
mod route;
mod sender;
pub(crate) mod target;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::request::Parts;
use portcullis::Gate;
use portcullis::session::RevocationScope;
use portcullis_wire::client::Client;
use tokio::sync::watch;

use crate::admin::Facts;
use crate::admin::Refusals;
use crate::admin::Refused;
use crate::admin::Revoked;
use crate::admin::Revokes;
use crate::admin::Shows;
use crate::audit_trail::CurrentTrail;
use crate::generation::Generation;
use crate::login::Exchanges;
use crate::proxy::Proxy;
use crate::telemetry::Tracer;

use self::authorize::UpstreamAuthorizer;
pub(crate) use self::decisions::describe;
pub(crate) use self::entrance::Entrance;
pub(crate) use self::head::SendError;
pub(crate) use self::outgoing::Outgoing;
pub(crate) use self::preview::Preview;
pub(crate) use self::preview::PreviewOutcome;
pub(crate) use self::record::Record;
pub(crate) use self::rejection::Rejection;
pub(crate) use self::request::Received;
pub(crate) use self::sender::Sender;
use self::target::Target;

/// The running gateway. The proxy, with its connections and the health of its servers, outlives a generation.
#[derive(Debug)]
pub(crate) struct Gateway {
    generation: ArcSwap<Generation>,
    /// The gate with all authenticators of the current generation, for sessions that have admitted something that lasts.
    everybody: watch::Sender<Gate>,
    proxy: Proxy,
    upstream_authorizer: UpstreamAuthorizer,
    exchanges: Exchanges,
    /// For the status page.
    refusals: Refusals,
    audit: CurrentTrail,
    /// `None` if requests are not traced.
    tracer: Option<Tracer>,
}

/// A request that was not rejected.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// It may be forwarded to its upstream.
    Forward(Box<Outgoing>),
    /// The gateway answers it itself, because its path is below `/.portcullis/`.
    Internal(Box<Received>),
}

impl Revokes for Gateway {
    fn revoke(&self, scope: &RevocationScope) -> Result<Revoked, String> {
        self.generation().revoke(scope)
    }
}

impl Shows for Gateway {
    fn facts(&self) -> Facts {
        self.generation().facts()
    }

    fn refusals(&self) -> Vec<Refused> {
        self.refusals.all()
    }
}

impl Gateway {
    /// Creates a gateway. `proxy` must be the proxy that made the upstream handles in the generation's routes.
    pub(crate) fn new(generation: Generation, proxy: Proxy) -> Self {
        generation.take_effect();
        Self {
            everybody: watch::Sender::new(generation.everybody().clone()),
            generation: ArcSwap::from_pointee(generation),
            proxy,
            upstream_authorizer: UpstreamAuthorizer::new(),
            exchanges: Exchanges::new(),
            refusals: Refusals::default(),
            audit: CurrentTrail::default(),
            tracer: None,
        }
    }

    /// Lets no request in whose lines this trail has no room for.
    pub(crate) fn with_audit(self, audit: CurrentTrail) -> Self {
        Self { audit, ..self }
    }

    /// The same gateway, with traces of its requests.
    pub(crate) fn with_tracer(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// What traces requests. `None` if they are not traced.
    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.tracer.as_ref()
    }

    /// Decides about one request, by one generation from the beginning to the end. Only this function makes an
    /// [`Outgoing`] request.
    ///
    /// 1. *Sanitize.* Removes the headers that only the gateway may set, so that no later step reads them. Can't fail.
    /// 2. *Route.* Finds the one route that every reading of the path leads to, and checks that the entrance can serve
    ///    it. Fails with 400, 404 or 413. The gateway's own paths leave the pipeline here.
    /// 3. *Authenticate.* The route's gate decides who sent the request. Fails with 401, 403, 429, 503, or with an
    ///    authenticator's own response.
    /// 4. *Authorize.* The route's requirements, its authorizers and, if it is configured so, the upstream say whether the
    ///    user may send the request. Fails with 400, 403, 404, 429, 503, with an authorizer's own response, or with 401 if there
    ///    is no user.
    ///
    /// The step that rejects a request writes the audit log. If that has no room and must not lose a line, the request is rejected
    /// with 503 before the first step.
    pub(crate) async fn decide(
        &self,
        generation: Arc<Generation>,
        entrance: Entrance,
        request: Received,
    ) -> Result<Accepted, Rejection> {
        let decided = self.take_steps(generation, entrance, request).await;
        if entrance.serves() {
            decisions::count(&decided);
            if let Err(Rejection::Denied(denied)) = &decided {
                denied
                    .refused()
                    .into_iter()
                    .for_each(|refused| self.refusals.add(refused));
            }
        }
        decided
    }

    async fn take_steps(
        &self,
        generation: Arc<Generation>,
        entrance: Entrance,
        mut request: Received,
    ) -> Result<Accepted, Rejection> {
        let _permit = match entrance.serves() {
            true => Some(self.audit.admit().ok_or(Rejection::Unrecorded)?),
            false => None,
        };
        let removed = request.sanitize(generation.identity_names());
        let found = route::find(&generation, entrance, &request);
        if let (Err(rejection), true) = (&found, entrance.serves()) {
            self.refusals.add(refused::unrouted(&request, rejection));
        }
        let Some(route) = found? else {
            return Ok(Accepted::Internal(Box::new(request)));
        };
        if let Some(record) = Record::of(&request.parts) {
            record.set_route(&route);
        }
        let admitted = admission::admit(entrance, &generation, route, request, removed).await?;
        let upstreams = &self.upstream_authorizer;
        let outgoing = admitted.authorize(entrance, upstreams, &self.proxy, generation).await?;
        Ok(Accepted::Forward(Box::new(outgoing)))
    }

    /// Reads the target of a request from its head, and decides about the request.
    pub(crate) async fn read_and_decide(
        &self,
        generation: Arc<Generation>,
        entrance: Entrance,
        client: Client,
        parts: Parts,
    ) -> Result<Accepted, Rejection> {
        match Target::of(&parts) {
            Ok(target) => {
                let request = Received { client, target, parts };
                self.decide(generation, entrance, request).await
            }
            Err(rejection) => {
                if entrance.serves() {
                    audit::rejected(
                        parts.extensions.get(),
                        &client,
                        &parts.method,
                        parts.uri.path(),
                        &rejection,
                    );
                    decisions::UNSERVED.count("");
                }
                Err(rejection)
            }
        }
    }

    /// The current generation. A request takes it once, and is served by it to the end.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Serves the next requests by another generation. Returns the one before, which the requests that run still have.
    pub(crate) fn replace(&self, next: Generation) -> Arc<Generation> {
        let before = self.generation.swap(Arc::new(next));
        let next = self.generation();
        next.take_effect();
        before.retire(&next);
        self.everybody.send_replace(next.everybody().clone());
        before
    }

    /// The answers of providers to the callbacks of logins, which outlive a generation.
    pub(crate) fn exchanges(&self) -> &Exchanges {
        &self.exchanges
    }

    /// The proxy, which outlives a generation.
    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Waits until all upgraded connections have ended.
    pub(crate) async fn gone(&self) {
        self.proxy.gone().await;
    }

    /// Ends the upgraded connections.
    pub(crate) async fn close(&self) {
        self.proxy.close().await;
    }
}
