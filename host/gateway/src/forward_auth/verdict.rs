//! Whether a front's request may go on. It is decided about as a request to the gateway itself is, and only then
//! written down what the front needs to know.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis_wire::client::Client;

use super::Changes;
use crate::answers::response;
use crate::pipeline;
use crate::pipeline::Entrance;
use crate::pipeline::Gateway;
use crate::pipeline::Outgoing;
use crate::pipeline::Received;
use crate::pipeline::Rejection;
use crate::pipeline::audit;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;

/// The request that a front asks about.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) client: Client,
    /// As the front passes them on; what stands there for the front's own use is removed later.
    pub(crate) headers: HeaderMap,
}

/// The answer to a front, before it is written the way that the front reads it.
#[derive(Debug)]
pub(crate) enum FrontVerdict {
    /// The request may go on.
    Allow(Box<Allowed>),
    /// The client gets this.
    Deny(Box<Denied>),
}

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// What the front has to change in it.
    pub(crate) changes: Changes,
    /// What belongs on the response to the client.
    pub(crate) for_client: HeaderMap,
}

/// A request that may not go on.
#[derive(Debug)]
pub(crate) struct Denied {
    /// What the client would get from the gateway itself.
    pub(crate) response: Response<Body>,
    /// The URL that the client asked for, without path; none: it isn't known.
    pub(crate) origin: Option<String>,
}

impl FrontVerdict {
    pub(crate) fn deny(response: Response<Body>) -> Self {
        Self::Deny(Box::new(Denied { response, origin: None }))
    }

    /// The same for a client that asked for something at this origin.
    fn with_origin(mut self, origin: Option<String>) -> Self {
        if let Self::Deny(denied) = &mut self {
            denied.origin = origin;
        }
        self
    }
}

impl Gateway {
    /// Decides about the request of a front, as about one of the gateway's own. `timeout` is how long the front waits
    /// before it decides by itself. `None` if it waits for ever.
    pub(crate) async fn decide_for_front(&self, original: Original, timeout: Option<Duration>) -> FrontVerdict {
        let Original {
            method,
            target,
            client,
            headers,
        } = original;
        let origin = target.authority.as_deref();
        let origin = origin.map(|authority| format!("{}://{authority}", client.scheme));
        if let Err(rejection) = reject_duplicates(&headers) {
            audit::rejected(&client, &method, target.path.as_str(), &rejection);
            return FrontVerdict::deny(rejection.into_response()).with_origin(origin);
        }
        let mut parts = Request::new(()).into_parts().0;
        (parts.method, parts.headers) = (method, headers);
        let waiting = timeout.map(|limit| (limit, target.path.to_string(), client.clone()));
        let decided = self.decide(Entrance::Front, Received { client, target, parts });
        let decided = match waiting {
            None => decided.await,
            // Some fronts let a request pass once they have waited for too long, so that none may wait so long.
            Some((limit, path, client)) => match tokio::time::timeout(limit, decided).await {
                Ok(decided) => decided,
                Err(_) => {
                    timed_out(limit, &path, &client);
                    return FrontVerdict::deny(response::unavailable("Authentication is unavailable"))
                        .with_origin(origin);
                }
            },
        };
        let verdict = match decided {
            Ok(pipeline::Accepted::Forward(outgoing)) => allow(*outgoing),
            // Not even a front is shown the gateway's own pages.
            Ok(pipeline::Accepted::Internal(_)) => FrontVerdict::deny(Rejection::Route.into_response()),
            Err(rejection) => FrontVerdict::deny(rejection.into_response()),
        };
        verdict.with_origin(origin)
    }
}

fn timed_out(limit: Duration, path: &str, client: &Client) {
    tracing::warn!(
        target: "portcullis::audit",
        path,
        client = %client.shown_address(),
        timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        "the front would not have waited for the decision"
    );
}

/// What a front does with a request that may go on.
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

/// A client that sends two of these means to be read in two ways.
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
