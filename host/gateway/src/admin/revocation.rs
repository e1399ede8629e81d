//! `POST /revocations` on the admin listener: an operator ends sessions, and lets everybody be authenticated anew. It needs a token,
//! because metrics and health are often open to more programs than this may be.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::StatusCode;
use http::header;
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::Limited;
use metrics::counter;
use metrics::describe_counter;
use portcullis::session::RevocationScope;
use portcullis::session::SessionId;
use serde::Deserialize;
use serde::Serialize;

use super::answer::Answer;
use super::answer::not_allowed;
use super::answer::text;
use crate::config::Token;

/// The path that revokes, by POST.
pub(crate) const REVOCATIONS: &str = "/revocations";

/// Revokes something in the gateway that runs.
pub(crate) trait Revokes: Send + Sync {
    /// Ends sessions, and lets plugins forget decisions. The error says why there is nothing to revoke.
    fn revoke(&self, scope: &RevocationScope) -> Result<Revoked, String>;
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revoked {
    /// Whether there are sessions, and not only decisions.
    pub(crate) sessions: bool,
    /// How many gateways are told one by one. This one may be among them, because a list is the same for all.
    pub(crate) peers: usize,
    /// Whether those are told that share the state.
    pub(crate) is_shared: bool,
}

/// The body of a request: `{"user": "alice"}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Order {
    /// Everything of a user.
    User(String),
    /// One session, by its id.
    Session(SessionId),
    /// Everything of an authenticator.
    Authenticator(String),
    /// Everything: `{"all": true}`.
    All(Yes),
}

/// `true`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(try_from = "bool", into = "bool")]
pub(crate) struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        value.then_some(Self).ok_or("expected true")
    }
}

impl From<Yes> for bool {
    fn from(_: Yes) -> Self {
        true
    }
}

impl Order {
    fn scope(&self) -> RevocationScope {
        match self {
            Self::User(name) => RevocationScope::User(name.as_str().into()),
            Self::Session(id) => RevocationScope::Session(*id),
            Self::Authenticator(name) => RevocationScope::Authenticator(name.as_str().into()),
            Self::All(Yes) => RevocationScope::Everybody,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Session(_) => "session",
            Self::Authenticator(_) => "authenticator",
            Self::All(Yes) => "all",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name:?}"),
            Self::Session(id) => write!(f, "session {id}"),
            Self::Authenticator(name) => write!(f, "authenticator {name:?}"),
            Self::All(Yes) => f.write_str("everybody"),
        }
    }
}

/// Who may revoke, and what does it.
#[derive(Clone)]
pub(super) struct Revoker {
    token: Option<Token>,
    gateway: Arc<dyn Revokes>,
}

impl Revoker {
    pub(super) fn new(token: Option<Token>, gateway: Arc<dyn Revokes>) -> Self {
        describe_counter!(
            "portcullis_revocations_total",
            "Revocations by an operator through this gateway"
        );
        Self { token, gateway }
    }

    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if request.method() != http::Method::POST {
            return not_allowed("POST");
        }
        let Some(token) = &self.token else {
            return text(
                StatusCode::FORBIDDEN,
                "nothing can be revoked here: admin.token is missing in the configuration\n",
            );
        };
        let given = request.headers().get(header::AUTHORIZATION);
        if !given.is_some_and(|given| token.is_bearer(given)) {
            let mut answer = text(
                StatusCode::UNAUTHORIZED,
                "expected the token of admin.token as a bearer token\n",
            );
            let bearer = HeaderValue::from_static("Bearer realm=\"Portcullis admin\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            return answer;
        }
        let body = Limited::new(request.into_body(), MAX_ORDER).collect();
        let Ok(Ok(body)) = tokio::time::timeout(MAX_TIME, body).await else {
            return text(
                StatusCode::BAD_REQUEST,
                "the body did not arrive, or is longer than 4 KiB\n",
            );
        };
        let order = match serde_json::from_slice::<Order>(&body.to_bytes()) {
            Ok(order) => order,
            Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}; {EXPECTED}\n")),
        };
        match self.gateway.revoke(&order.scope()) {
            Ok(revoked) => {
                counter!("portcullis_revocations_total", "scope" => order.label()).increment(1);
                tracing::info!(target: "portcullis::audit", scope = %order, "an operator has revoked");
                text(StatusCode::OK, told(&order, revoked))
            }
            Err(why) => text(StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")),
        }
    }
}

impl fmt::Debug for Revoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoker")
    }
}

fn told(order: &Order, revoked: Revoked) -> String {
    let Revoked {
        sessions,
        peers,
        is_shared,
    } = revoked;
    let others = match (is_shared, peers) {
        (true, _) => "; the gateways that share its state are told".to_owned(),
        (false, 0) => String::new(),
        (false, 1) => "; the gateway in session.peers is told".to_owned(),
        (false, several) => format!("; the {several} gateways in session.peers are told"),
    };
    if !sessions {
        return format!("revoked: {order}. There are no sessions; plugins are asked anew{others}\n");
    }
    format!("revoked: {order}. Sessions that began until now are over{others}\n")
}

const EXPECTED: &str = r#"expected {"user": "NAME"}, {"session": "ID"}, {"authenticator": "NAME"} or {"all": true}"#;

/// The largest body, in bytes, and how long it may take.
const MAX_ORDER: usize = 4096;
const MAX_TIME: Duration = Duration::from_secs(10);
