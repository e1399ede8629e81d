//! The last part of a request's way: to its upstream, and what the client hears when there is no response. What its own
//! body did wrong is told apart from what the upstream did.

use std::sync::Arc;

use http::Response;
use http::StatusCode;
use http::request::Parts;
use http_body_util::Either;
use hyper::body::Incoming;
use portcullis_wire::client::Client;
use portcullis_wire::cookies;

use crate::answers::response;
use crate::config::UpstreamConfig;
use crate::generation::Route;
use crate::pipeline::flow::Gateway;
use crate::pipeline::outgoing::Outgoing;
use crate::proxy::Unanswered;
use crate::proxy::Upgrade;
use crate::proxy::body::Body;
use crate::proxy::body::BodyError;
use crate::proxy::body::ClientBody;
use crate::transport::connection::Connection;
use crate::transport::connection::fault;

impl Gateway {
    /// Sends a request on that may go on.
    pub(super) async fn forward(
        &self,
        outgoing: Outgoing<'_>,
        upstream: &Arc<UpstreamConfig>,
        connection: &Connection,
        mut parts: Parts,
        body: Incoming,
    ) -> Response<Body> {
        let route = outgoing.route;
        let upgrade = Upgrade::requested(&mut parts);
        let head = match outgoing.head(&upstream.base, parts) {
            Ok(head) => head,
            Err(error) => {
                tracing::warn!(route = route.name, why = %error, "a user can't be sent to the upstream");
                return response::error(StatusCode::FORBIDDEN, "Forbidden");
            }
        };
        let slot = Arc::clone(&connection.slot);
        let body = ClientBody::new(body, route.max_body_size, self.bounds.body_timeout);
        let answered = self
            .proxy
            .forward(upstream, head, Either::Left(body), upgrade, route.timeout, slot)
            .await;
        match answered {
            Ok(mut response) => {
                cookies::keep_set(response.headers_mut(), |name| outgoing.passes_cookie(name));
                response
            }
            Err(unanswered) => match unanswered.error.of_body() {
                Some(why) => broken_body(route, outgoing.client, why),
                None => unreachable_upstream(route, upstream, &unanswered),
            },
        }
    }
}

/// The answer to a request whose body did not come as it should. Nobody waits for one whose client is gone.
fn broken_body(route: &Route, client: &Client, why: &BodyError) -> Response<Body> {
    tracing::info!(route = route.name, client = %client.shown_address(), %why, "a request's body ended early");
    let (bound, status, message) = match why {
        BodyError::Broken(_) => return response::error(StatusCode::BAD_REQUEST, "The body is broken"),
        BodyError::Size => ("max_body_size", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
        BodyError::Still => (
            "body_timeout",
            StatusCode::REQUEST_TIMEOUT,
            "The body did not arrive in time",
        ),
    };
    fault::count(bound);
    response::error(status, message)
}

fn unreachable_upstream(route: &Route, upstream: &UpstreamConfig, unanswered: &Unanswered) -> Response<Body> {
    let Unanswered { server, error } = unanswered;
    tracing::warn!(
        route = route.name,
        upstream = upstream.name,
        server,
        why = %error,
        "the upstream gave no response"
    );
    match error.status() {
        StatusCode::GATEWAY_TIMEOUT => {
            response::error(StatusCode::GATEWAY_TIMEOUT, "The upstream did not answer in time")
        }
        StatusCode::SERVICE_UNAVAILABLE => response::unavailable("The upstream is busy"),
        status => response::error(status, "The upstream can't be reached"),
    }
}
