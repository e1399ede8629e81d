//! One request, step by step: what it asks for, who sent it, whether they may, and what its upstream gets. The public
//! listener, the fronts and `explain` all drive it through [`Gateway::decide`], and differ in what they do last.

mod admission;
pub(crate) mod audit;
mod authorize;
mod entrance;
mod forward;
mod head;
mod outgoing;
mod preview;
mod rejection;
mod request;
mod route;
mod sender;
pub(crate) mod target;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::request::Parts;
use http::uri::Scheme;
use portcullis_wire::client::Client;
use portcullis_wire::peer::Peer;

use crate::generation::Generation;
use crate::proxy::Proxy;

use self::authorize::Authorizer;
pub(crate) use self::entrance::Entrance;
pub(crate) use self::head::SendError;
pub(crate) use self::outgoing::Outgoing;
pub(crate) use self::preview::Preview;
pub(crate) use self::preview::PreviewOutcome;
pub(crate) use self::rejection::Rejection;
pub(crate) use self::request::Received;
pub(crate) use self::sender::Sender;
use self::target::Target;

/// A configuration at work. The proxy, with its connections and what it knows of servers, outlives the generation.
#[derive(Debug)]
pub(crate) struct Gateway {
    generation: ArcSwap<Generation>,
    proxy: Proxy,
    authorizer: Authorizer,
}

/// What becomes of a request that is not rejected.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// It goes on to its upstream.
    Forward(Box<Outgoing>),
    /// The gateway answers it itself: its path is below `/.portcullis/`.
    Internal(Box<Received>),
}

impl Gateway {
    /// The proxy is the one that made the handles in the generation's routes.
    pub(crate) fn new(generation: Generation, proxy: Proxy) -> Self {
        Self {
            generation: ArcSwap::from_pointee(generation),
            proxy,
            authorizer: Authorizer::new(),
        }
    }

    /// Decides about one request. This is the only way to an [`Outgoing`] request.
    ///
    /// 1. *Sanitize.* Headers that only the gateway may set are removed, so that nothing after this reads them. Can't fail.
    /// 2. *Route.* The path leads to one route, however an upstream may read it, and the route can be served where the
    ///    request came in: else 400, 404 or 413. Paths of the gateway's own end here.
    /// 3. *Authenticate.* The route's gate says who sent it: else 401, 403, 429, 503, or an authenticator's own response.
    /// 4. *Authorize.* The upstream lets the user go on, where the route asks it: else 403, 404 or 503.
    ///
    /// Every rejection is written to the audit log by the step that it comes from.
    pub(crate) async fn decide(&self, entrance: Entrance, mut request: Received) -> Result<Accepted, Rejection> {
        let generation = self.generation();
        let removed = request.sanitize(generation.identity_names());
        let Some(route) = route::find(&generation, entrance, &request)? else {
            return Ok(Accepted::Internal(Box::new(request)));
        };
        let admitted = admission::admit(entrance, route, request, removed).await?;
        let outgoing = admitted
            .authorize(entrance, &self.authorizer, &self.proxy, generation)
            .await?;
        Ok(Accepted::Forward(Box::new(outgoing)))
    }

    /// Reads what a request asks for from its own head, and decides about it.
    pub(crate) async fn read_and_decide(
        &self,
        entrance: Entrance,
        client: Client,
        parts: Parts,
    ) -> Result<Accepted, Rejection> {
        match Target::of(&parts) {
            Ok(target) => self.decide(entrance, Received { client, target, parts }).await,
            Err(rejection) => {
                if entrance.serves() {
                    audit::rejected(&client, &parts.method, parts.uri.path(), &rejection);
                }
                Err(rejection)
            }
        }
    }

    /// The configuration at work.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Who sent a request with these headers over a connection from this peer.
    pub(crate) fn client(&self, peer: Peer, scheme: Scheme, headers: &HeaderMap) -> Client {
        Client::of(peer, scheme, headers, self.generation.load().trusted_proxies())
    }

    /// Waits until no upgraded connection is left.
    pub(crate) async fn gone(&self) {
        self.proxy.gone().await;
    }

    /// Ends the upgraded connections.
    pub(crate) async fn close(&self) {
        self.proxy.close().await;
    }
}
