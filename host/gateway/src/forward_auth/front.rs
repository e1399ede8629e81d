//! Authenticates fronts. What a front says about a request decides who is admitted, so a client that calls the endpoint
//! directly is rejected.

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

use crate::config::ProxyToken;
use crate::pipeline::Rejection;

/// How fronts are recognised.
#[derive(Clone, Debug)]
pub(crate) struct FrontProxy {
    token: Option<ProxyToken>,
    certified: bool,
    trusted_proxies: TrustedProxies,
}

impl FrontProxy {
    /// With `certified`, the listener accepts only peers that have a client certificate for it.
    pub(crate) fn new(token: Option<ProxyToken>, certified: bool, trusted_proxies: &TrustedProxies) -> Self {
        Self {
            token,
            certified,
            trusted_proxies: trusted_proxies.clone(),
        }
    }

    /// The proxies that are skipped when the client's address is looked for.
    pub(crate) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.trusted_proxies
    }

    /// Checks that the peer is a front. If a token is configured, the peer must send it exactly once. Otherwise the
    /// listener must require client certificates, or the peer must be a trusted proxy.
    pub(crate) fn admit(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Rejection> {
        let Some(token) = &self.token else {
            return if self.certified || self.trusted_proxies.trust(&peer) {
                Ok(())
            } else {
                Err(Rejection::Front("the peer is not a trusted proxy"))
            };
        };
        let mut sent = headers.get_all(TOKEN).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) if token.is(value) => Ok(()),
            (None, _) => Err(Rejection::Front("the peer sends no proxy token")),
            _ => Err(Rejection::Front("the peer sends a wrong proxy token")),
        }
    }

    /// Whether an address belongs to a trusted proxy.
    pub(crate) fn trusts(&self, address: &IpAddr) -> bool {
        self.trusted_proxies.contain(address)
    }
}

/// The header for the proxy token, as 64 hexadecimal digits. Headers that begin with `X-Portcullis-` never reach an
/// upstream.
const TOKEN: HeaderName = HeaderName::from_static("x-portcullis-token");
