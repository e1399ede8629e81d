//! Whether a front's request may go on. The way is that of a request to the gateway itself: the same path, the same
//! routes, the same gate, and only then what the front needs to know.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use portcullis_wire::client::Client;
use portcullis_wire::forwarded;
use portcullis_wire::header_names::fold;

use super::Changes;
use crate::answers::internal_pages;
use crate::answers::response;
use crate::pipeline::admission;
use crate::pipeline::audit;
use crate::pipeline::flow::Gateway;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::target::Target;
use crate::pipeline::target::Unserved;
use crate::proxy::body;
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
pub(crate) enum Verdict {
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

impl Verdict {
    pub(crate) fn deny(response: Response<Body>) -> Self {
        Self::Deny(Box::new(Denied { response, origin: None }))
    }
}

impl Gateway {
    /// Decides about the request of a front. `patience`: how long the front waits before it decides by itself.
    pub(crate) async fn judge(&self, original: Original, patience: Option<Duration>) -> Verdict {
        let Original {
            method,
            target,
            client,
            headers,
        } = original;
        let mut parts = Request::new(()).into_parts().0;
        parts.method = method;
        parts.headers = headers;
        let decided = match patience {
            None => self.decide(&client, &target, &mut parts).await,
            // Some fronts let a request pass when they lost patience, so that none may lose it.
            Some(patience) => match tokio::time::timeout(patience, self.decide(&client, &target, &mut parts)).await {
                Ok(decided) => decided,
                Err(_) => {
                    tracing::warn!(
                        target: "portcullis::audit",
                        path = %target.path,
                        client = %client.shown_address(),
                        patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
                        "the front would not have waited for the decision"
                    );
                    Ok(Verdict::deny(response::unavailable("Authentication is unavailable")))
                }
            },
        };
        let verdict = decided.unwrap_or_else(|unserved| {
            let response = unserved.answer();
            audit::unserved(
                &client,
                &parts.method,
                target.path.as_str(),
                &unserved,
                response.status(),
            );
            Verdict::deny(response)
        });
        match verdict {
            Verdict::Deny(mut denied) => {
                let authority = target.authority.as_deref();
                denied.origin = authority.map(|authority| format!("{}://{authority}", client.scheme));
                Verdict::Deny(denied)
            }
            allow => allow,
        }
    }

    async fn decide(&self, client: &Client, target: &Target, parts: &mut Parts) -> Result<Verdict, Unserved> {
        let headers = &mut parts.headers;
        require_one(headers)?;
        let mut disguised = self.remove_identity(headers);
        // What the front itself says in these headers is its own matter; another spelling is none that a front uses.
        let claims = forwarded::remove_unbelieved(headers, client).into_iter();
        disguised.extend(claims.filter(|name| fold(name) != name.as_str()));
        if let Some(host) = target
            .authority
            .as_deref()
            .and_then(|host| HeaderValue::from_str(host).ok())
        {
            headers.insert(header::HOST, host);
        }
        if internal_pages::covers(&target.path) {
            return Err(Unserved::Route);
        }
        let route = self.route(target)?;
        let pass = match admission::admit(route, client, target, parts).await {
            Ok(pass) => pass,
            Err(response) => return Ok(Verdict::deny(*response)),
        };
        let outgoing = Outgoing {
            route,
            client,
            target,
            user: pass.user.as_ref(),
            identity: &route.identity,
            session_cookie: self.session_cookie(),
            upstreams_own: pass.upstreams_own,
        };
        if let Err(refused) = self.authorize(&parts.method, &outgoing).await {
            return Ok(Verdict::deny(pass.mark(*refused)));
        }
        let changes = match Changes::of(&outgoing, self.generation(), &parts.headers, disguised) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(route = route.name, why = %error, "a user can't be sent to the upstream");
                let refused = response::error(StatusCode::FORBIDDEN, "Forbidden");
                return Ok(Verdict::deny(pass.mark(refused)));
            }
        };
        let for_client = pass.mark(Response::new(body::full(""))).into_parts().0.headers;
        Ok(Verdict::Allow(Box::new(Allowed { changes, for_client })))
    }
}

/// A client that sends two of these means to be read in two ways.
fn require_one(headers: &HeaderMap) -> Result<(), Unserved> {
    for name in ONCE {
        if headers.get_all(&name).iter().count() > 1 {
            return Err(Unserved::malformed(format_args!(
                "the request has several {name} headers"
            )));
        }
    }
    Ok(())
}

const ONCE: [HeaderName; 3] = [header::AUTHORIZATION, header::HOST, header::PROXY_AUTHORIZATION];
