//! Rejected requests: the reason, and the response that the client gets.

use std::fmt;
use std::sync::Arc;

use http::Response;
use http::StatusCode;
use portcullis::decision::Step;

use crate::answers::response;
use crate::generation::Route;
use crate::pipeline::decisions::Decider;
use crate::pipeline::request::Received;
use crate::pipeline::sender::Sender;
use crate::proxy::body::Body;
use crate::routing::method::Methods;

/// Why a request is rejected.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// The plugins refuse it, or the upstream that was asked about the user does.
    Denied(Box<Denied>),
    /// 403, and the reason: it was sent to an endpoint for fronts, but not by a front.
    Front(&'static str),
    /// 400, and the reason.
    Malformed(String),
    /// 405.
    Method,
    /// 404: no route matches the path.
    Route,
    /// 404: no route is for this host.
    Host(String),
    /// 405: the path is served with these methods only.
    RouteMethod(Methods),
    /// 413: its body is larger than the route allows.
    Size {
        /// The size of the body, in bytes.
        body: u64,
        /// The largest size that the route allows, in bytes.
        most: u64,
    },
    /// 503: its lines in the audit log would have no room.
    Unrecorded,
    /// 404: the route has no upstream, so it only serves fronts.
    Upstream,
}

/// A request that is rejected because of who sent it.
#[derive(Debug)]
pub(crate) struct Denied {
    /// The route.
    pub(crate) route: Arc<Route>,
    /// The request.
    pub(super) request: Received,
    /// What is known about the sender.
    pub(crate) sender: Sender,
    /// Who rejects it.
    pub(crate) decider: Decider,
    /// The response that the client gets.
    pub(crate) response: Response<Body>,
    /// The reason. `None` if a plugin decided: the steps have the reasons.
    pub(crate) why: Option<String>,
    /// What each authorizer was asked and said.
    pub(crate) authorizer_steps: Vec<Step>,
}

impl Rejection {
    /// A request that has several readings, or none.
    pub(crate) fn malformed(why: impl fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }

    /// The response that the client gets.
    pub(crate) fn into_response(self) -> Response<Body> {
        match self {
            Self::Denied(denied) => denied.response,
            Self::Front(_) => response::error(StatusCode::FORBIDDEN, "Forbidden"),
            Self::Malformed(why) => response::error(StatusCode::BAD_REQUEST, &why),
            Self::Method => response::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            Self::RouteMethod(methods) => response::method_not_allowed(&methods.to_string()),
            Self::Size { .. } => response::error(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::Unrecorded => response::unavailable("Auditing is unavailable"),
            Self::Host(_) | Self::Route | Self::Upstream => response::error(StatusCode::NOT_FOUND, "Not found"),
        }
    }

    /// The status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denied) => denied.response.status(),
            Self::Front(_) => StatusCode::FORBIDDEN,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Method | Self::RouteMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Size { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unrecorded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Host(_) | Self::Route | Self::Upstream => StatusCode::NOT_FOUND,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denied) => f.write_str(denied.why.as_deref().unwrap_or("the plugins refuse the request")),
            Self::Front(why) => f.write_str(why),
            Self::Malformed(why) => f.write_str(why),
            Self::Method => f.write_str("the method is not served"),
            Self::RouteMethod(methods) => write!(f, "the path is served with {methods} only"),
            Self::Host(host) => write!(f, "no route is for the host {host:?}"),
            Self::Route => f.write_str("no route matches the path"),
            Self::Size { body, most } => write!(f, "the body has {body} bytes, and max_body_size is {most}"),
            Self::Unrecorded => f.write_str("too many audit lines wait to be written"),
            Self::Upstream => f.write_str("the route has no upstream, so it only serves fronts"),
        }
    }
}
