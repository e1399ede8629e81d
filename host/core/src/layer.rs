//! A `tower` layer that forwards only authenticated requests to the inner service. The service finds the user in the
//! request's extensions, as [`Authenticated`](crate::Authenticated).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use http::Response;
use tower::Layer;
use tower::Service;

use crate::decision::Outcome;
use crate::gate::Gate;
use crate::request::AuthRequest;

/// Puts a [`Gate`] in front of a service.
///
/// If a plugin needs the client's address or the scheme, add an [`AuthRequest`] to the request's extensions in front of
/// this layer. Otherwise [`AuthRequest::from_parts`] makes one from the request's head.
#[derive(Clone, Debug)]
pub struct AuthenticateLayer(Gate);

impl AuthenticateLayer {
    /// A layer with this gate.
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate {
            gate: self.0.clone(),
            inner,
        }
    }
}

/// A service behind a [`Gate`].
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    gate: Gate,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Bytes> + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled must be the one that is called; a clone has not been polled.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(pass(self.gate.clone(), inner, request))
    }
}

async fn pass<S, B, R>(gate: Gate, mut inner: S, request: Request<B>) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    let (mut parts, body) = request.into_parts();
    let request = parts
        .extensions
        .remove::<AuthRequest>()
        .unwrap_or_else(|| AuthRequest::from_parts(&parts));
    let (decision, added) = gate.admit(&Arc::new(request)).await.into_parts();
    let mut response = match decision.outcome {
        Outcome::Grant(authenticated) => {
            parts.extensions.insert(authenticated);
            inner.call(Request::from_parts(parts, body)).await?
        }
        Outcome::Refuse(refusal) => refusal.into_response().map(R::from),
    };
    added.apply(response.headers_mut());
    Ok(response)
}
