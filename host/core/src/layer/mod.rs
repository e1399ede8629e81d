//! A `tower` layer that forwards only authenticated requests, and those that its authorizers permit, to the inner service. The
//! service finds the user in the request's extensions, as [`Authenticated`](crate::Authenticated), and what the authorizers say
//! as [`Permits`](crate::decision::Permits).

mod body;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::request::Parts;
use tower::Layer;
use tower::Service;

use crate::authorizer::Authorizer;
use crate::authorizers::Authorizers;
use crate::decision::Outcome;
use crate::decision::Permits;
use crate::decision::Refusal;
use crate::decision::is_grpc;
use crate::gate::Gate;
use crate::request::AuthRequest;

pub use self::body::GateBody;

/// Puts a [`Gate`] in front of a service. The service's responses may have any body.
///
/// A request reaches the service only with a user, unless the layer is [`optional`](Self::optional). Other requests are
/// answered with [`Refusal::into_response`], and gRPC requests with [`Refusal::into_grpc_response`].
///
/// # What the head of a request doesn't say
///
/// The client's address, the scheme, and the path that a router has cut are not in a request's head. Without
/// [`with_request`](Self::with_request) the address is `None`: the circuit breaker of
/// [`Limits::breaker`](crate::Limits::breaker) is then off, because it couldn't stop one client alone, and all clients
/// share one [`Limits::rate`](crate::Limits::rate).
#[derive(Clone)]
pub struct AuthenticateLayer {
    gate: Gate,
    authorizers: Authorizers,
    optional: bool,
    request: MakeRequest,
}

/// Makes the request for the authenticators from the head of an HTTP request.
type MakeRequest = Arc<dyn Fn(&Parts) -> AuthRequest + Send + Sync>;

impl AuthenticateLayer {
    /// A layer with this gate, which makes requests with [`AuthRequest::from_parts`].
    pub fn new(gate: Gate) -> Self {
        Self {
            gate,
            authorizers: Authorizers::default(),
            optional: false,
            request: Arc::new(AuthRequest::from_parts),
        }
    }

    /// The same layer, but with these authorizers, which are asked in order about each request that is authenticated, and about
    /// those without credentials if the layer is [`optional`](Self::optional).
    #[must_use]
    pub fn authorizers(self, authorizers: impl IntoIterator<Item = Authorizer>) -> Self {
        let authorizers = Authorizers::new(authorizers);
        // A plugin that could set the cookie could plant a session.
        if let Some(sessions) = self.gate.sessions() {
            let components = authorizers.iter().filter_map(|authorizer| authorizer.component());
            components.for_each(|component| component.engine().reserve_cookie(sessions.cookie_name()));
        }
        Self { authorizers, ..self }
    }

    /// The same layer, but requests without credentials reach the service without a user. Wrong credentials are refused
    /// all the same.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same layer, but with this function that makes the request for the authenticators. What the server knows of
    /// the connection is usually in the head's extensions.
    #[must_use]
    pub fn with_request(self, request: impl Fn(&Parts) -> AuthRequest + Send + Sync + 'static) -> Self {
        Self {
            request: Arc::new(request),
            ..self
        }
    }

    /// Decides whether a request with this outcome of its authentication reaches the service. The error is what its client gets.
    async fn permits(&self, request: &Arc<AuthRequest>, outcome: &Outcome) -> Result<Permits, Refusal> {
        match outcome {
            Outcome::Refuse(refusal) if !(self.optional && refusal.lacks_credentials()) => Err(refusal.clone()),
            _ => self.authorizers.decide(request, outcome).await.outcome,
        }
    }
}

impl fmt::Debug for AuthenticateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateLayer")
            .field("gate", &self.gate)
            .field("authorizers", &self.authorizers)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate {
            layer: self.clone(),
            inner,
        }
    }
}

/// A service behind a [`Gate`].
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    layer: AuthenticateLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: 'static,
{
    type Response = Response<GateBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled must be the one that is called; a clone has not been polled.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(pass(self.layer.clone(), inner, request))
    }
}

async fn pass<S, B, R>(
    layer: AuthenticateLayer,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<GateBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    let (mut parts, body) = request.into_parts();
    let request = Arc::new((layer.request)(&parts));
    let (decision, added) = layer.gate.admit(&request).await.into_parts();
    let grpc = is_grpc(&parts.headers);
    let mut response = match layer.permits(&request, &decision.outcome).await {
        Err(refusal) => refused(refusal, grpc).map(GateBody::refusal),
        Ok(permits) => {
            if let Outcome::Grant(user) = decision.outcome {
                parts.extensions.insert(user);
            }
            parts.extensions.insert(permits);
            inner
                .call(Request::from_parts(parts, body))
                .await?
                .map(GateBody::service)
        }
    };
    added.apply(response.headers_mut());
    Ok(response)
}

fn refused(refusal: Refusal, grpc: bool) -> Response<Bytes> {
    if grpc {
        refusal.into_grpc_response()
    } else {
        refusal.into_response()
    }
}
