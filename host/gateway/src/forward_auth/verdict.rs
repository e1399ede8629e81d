//! Decides whether a front may forward its request. The decision is the same as for a request to the gateway itself;
//! only the last step differs.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use super::Changes;
use super::CheckRecord;
use crate::answers::response;
use crate::generation::Generation;
use crate::pipeline;
use crate::pipeline::Entrance;
use crate::pipeline::Gateway;
use crate::pipeline::Outgoing;
use crate::pipeline::Received;
use crate::pipeline::Rejection;
use crate::pipeline::audit;
use crate::pipeline::decisions;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;

/// The request that a front asks about.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) client: Client,
    /// The headers that the front passes on. Those that the front added for the gateway are removed later.
    pub(crate) headers: HeaderMap,
}

/// The verdict for a front, before it is written in the front's protocol.
#[derive(Debug)]
pub(crate) enum FrontVerdict {
    /// The front may forward the request.
    Allow(Box<Allowed>),
    /// The front must deny the request.
    Deny(Box<Denied>),
}

/// A request that the front may forward.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// The changes that the front has to make to the request.
    pub(crate) changes: Changes,
    /// The headers for the response to the client.
    pub(crate) for_client: HeaderMap,
}

/// A request that the front must deny.
#[derive(Debug)]
pub(crate) struct Denied {
    /// The response that the client would get from the gateway itself.
    pub(crate) response: Response<Body>,
    /// The origin of the URL that the client requested. `None` if it isn't known.
    pub(crate) origin: Option<String>,
}

impl FrontVerdict {
    pub(crate) fn deny(response: Response<Body>) -> Self {
        Self::Deny(Box::new(Denied { response, origin: None }))
    }

    /// The status with which the gateway itself would answer, or 200 if the front may forward the request.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Allow(_) => StatusCode::OK,
            Self::Deny(denied) => denied.response.status(),
        }
    }

    /// Tells the client the id of its request if it is denied.
    fn with_id(mut self, id: &RequestId) -> Self {
        if let Self::Deny(denied) = &mut self {
            id.write(denied.response.headers_mut());
        }
        self
    }

    /// Adds the origin of the URL that the client requested.
    fn with_origin(mut self, origin: Option<String>) -> Self {
        if let Self::Deny(denied) = &mut self {
            denied.origin = origin;
        }
        self
    }
}

impl Gateway {
    /// Decides about a front's request as about a request to the gateway itself. What is found out is recorded in `record`.
    ///
    /// `timeout` is how long the decision may take. `None` if there is no limit.
    pub(crate) async fn decide_for_front(
        &self,
        generation: Arc<Generation>,
        original: Original,
        record: &CheckRecord,
        timeout: Option<Duration>,
    ) -> FrontVerdict {
        let Original {
            method,
            target,
            client,
            headers,
        } = original;
        let id = record.id();
        let origin = target.authority.as_deref();
        let origin = origin.map(|authority| format!("{}://{authority}", client.scheme));
        if let Err(rejection) = reject_duplicates(&headers) {
            audit::rejected(Some(id), &client, &method, target.path.as_str(), &rejection);
            decisions::UNSERVED.count("");
            return FrontVerdict::deny(rejection.into_response()).with_origin(origin);
        }
        let mut parts = Request::new(()).into_parts().0;
        (parts.method, parts.headers) = (method, headers);
        record.attach(&mut parts);
        let waiting = timeout.map(|limit| (limit, target.path.to_string(), client.clone()));
        let decided = self.decide(generation, Entrance::Front, Received { client, target, parts });
        let decided = match waiting {
            None => decided.await,
            // After their own timeout some fronts let a request pass, so the verdict must come earlier.
            Some((limit, path, client)) => match tokio::time::timeout(limit, decided).await {
                Ok(decided) => decided,
                Err(_) => {
                    timed_out(limit, &path, &client);
                    decisions::LATE.count("");
                    return FrontVerdict::deny(response::unavailable("Authentication is unavailable"))
                        .with_origin(origin);
                }
            },
        };
        let verdict = match decided {
            Ok(pipeline::Accepted::Forward(outgoing)) => allow(*outgoing),
            // The gateway's own pages aren't available through a front.
            Ok(pipeline::Accepted::Internal(_)) => FrontVerdict::deny(Rejection::Route.into_response()),
            Err(rejection) => FrontVerdict::deny(rejection.into_response()),
        };
        verdict.with_origin(origin).with_id(id)
    }
}

fn timed_out(limit: Duration, path: &str, client: &Client) {
    tracing::warn!(
        target: "portcullis::audit",
        path,
        client = %client.shown_address(),
        timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        "the decision took longer than the front waits"
    );
}

/// The verdict for a request that was accepted.
fn allow(outgoing: Outgoing) -> FrontVerdict {
    let changes = Changes::of(&outgoing);
    let mut for_client = HeaderMap::new();
    let changes = match changes {
        Ok(changes) => changes,
        Err(error) => {
            tracing::warn!(route = outgoing.route().name, why = %error, "the request can't be written for the upstream");
            let mut refused = response::error(StatusCode::FORBIDDEN, "Forbidden");
            outgoing.into_response_headers().apply(refused.headers_mut());
            return FrontVerdict::deny(refused);
        }
    };
    outgoing.into_response_headers().apply(&mut for_client);
    FrontVerdict::Allow(Box::new(Allowed { changes, for_client }))
}

/// Rejects repeated fields that must be single: two programs could read different ones.
fn reject_duplicates(headers: &HeaderMap) -> Result<(), Rejection> {
    for name in SINGLETONS {
        if headers.get_all(&name).iter().count() > 1 {
            return Err(Rejection::malformed(format_args!(
                "the request has several {name} headers"
            )));
        }
    }
    Ok(())
}

const SINGLETONS: [HeaderName; 3] = [header::AUTHORIZATION, header::HOST, header::PROXY_AUTHORIZATION];
