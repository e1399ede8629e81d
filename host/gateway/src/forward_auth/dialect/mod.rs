//! One endpoint for each kind of front. An endpoint reads only the headers that its front sets. A front passes on
//! headers that it doesn't know, so all other headers may be the client's (CVE-2026-40575).

mod caddy;
mod envoy;
mod forwarded;
mod haproxy;
mod nginx;
mod traefik;
mod write;

use std::time::Duration;

use http::HeaderMap;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::request::Parts;
use portcullis_wire::peer::Peer;

use super::FrontProxy;
use super::FrontVerdict;
use super::Original;
use crate::answers::response;
use crate::pipeline::Rejection;
use crate::proxy::body::Body;

/// The protocol of a front: how it describes a request, and how it reads the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    /// `forward_auth` of Caddy.
    Caddy,
    /// `ext_authz` of Envoy, over HTTP.
    Envoy,
    /// The Lua action in `docs/fronts/haproxy`, and fronts that behave like it.
    Haproxy,
    /// `auth_request` of nginx.
    Nginx,
    /// `forwardAuth` of Traefik.
    Traefik,
}

/// The endpoint that a front calls.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(super) dialect: Dialect,
    /// The path below the endpoint, with the query.
    rest: String,
}

impl Endpoint {
    /// The endpoint at this URI. `None` unless the path matches byte for byte.
    pub(crate) fn at(uri: &Uri) -> Option<Self> {
        let name = uri.path().strip_prefix(PREFIX)?;
        let (name, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
        let is_named = |dialect: &Dialect| dialect.path().strip_prefix(PREFIX) == Some(name);
        let dialect = Dialect::ALL.into_iter().find(is_named)?;
        if !rest.is_empty() && dialect != Dialect::Envoy {
            return None;
        }
        let rest = match uri.query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest.to_owned(),
        };
        Some(Self { dialect, rest })
    }
}

impl Endpoint {
    /// The response to a head that is malformed or exceeds a limit, in the form that the front expects.
    pub(crate) fn reject_head(&self, status: StatusCode) -> Response<Body> {
        let response = response::rejected_head(status);
        self.dialect.write(FrontVerdict::deny(response))
    }
}

impl Dialect {
    const ALL: [Self; 5] = [Self::Caddy, Self::Envoy, Self::Haproxy, Self::Nginx, Self::Traefik];

    /// The path of the endpoint, to which Envoy appends another one.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Caddy => "/.portcullis/auth/caddy",
            Self::Envoy => "/.portcullis/auth/envoy",
            Self::Haproxy => "/.portcullis/auth/haproxy",
            Self::Nginx => "/.portcullis/auth/nginx",
            Self::Traefik => "/.portcullis/auth/traefik",
        }
    }

    /// Reads the request that the front asks about.
    pub(super) fn read(
        self,
        endpoint: &Endpoint,
        parts: &Parts,
        peer: Peer,
        front: &FrontProxy<'_>,
    ) -> Result<Original, Rejection> {
        match self {
            Self::Caddy | Self::Haproxy | Self::Traefik => forwarded::read(&parts.headers, peer, front),
            Self::Envoy => envoy::read(parts, &endpoint.rest, peer, front),
            Self::Nginx => nginx::read(&parts.headers, peer, front),
        }
    }

    /// How long the front waits. `None` if it doesn't say.
    pub(super) fn timeout(self, headers: &HeaderMap) -> Option<Duration> {
        match self {
            Self::Envoy => envoy::timeout(headers),
            Self::Caddy | Self::Haproxy | Self::Nginx | Self::Traefik => None,
        }
    }

    /// Writes the response in the form that the front expects.
    pub(super) fn write(self, verdict: FrontVerdict) -> Response<Body> {
        match (self, verdict) {
            (Self::Caddy, FrontVerdict::Allow(allowed)) => caddy::allow(*allowed),
            (Self::Envoy, FrontVerdict::Allow(allowed)) => envoy::allow(*allowed),
            (Self::Haproxy, FrontVerdict::Allow(allowed)) => haproxy::allow(*allowed),
            (Self::Nginx, FrontVerdict::Allow(allowed)) => nginx::allow(*allowed),
            (Self::Traefik, FrontVerdict::Allow(allowed)) => traefik::allow(*allowed),
            (Self::Caddy | Self::Haproxy, FrontVerdict::Deny(denied)) => write::refusal(denied.response),
            (Self::Envoy, FrontVerdict::Deny(denied)) => envoy::deny(denied.response),
            (Self::Nginx, FrontVerdict::Deny(denied)) => nginx::deny(*denied),
            (Self::Traefik, FrontVerdict::Deny(denied)) => traefik::deny(*denied),
        }
    }
}

const PREFIX: &str = "/.portcullis/auth/";
