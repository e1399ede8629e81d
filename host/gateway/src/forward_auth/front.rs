//! Whether whoever asks is the front that it seems to be. What a front says about a request decides who comes in, so
//! nobody else may say it: a client that reaches the endpoint by itself is refused.

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

use crate::config::ProxyToken;
use crate::pipeline::Rejection;

/// By what fronts are known.
#[derive(Clone, Debug)]
pub(crate) struct FrontProxy {
    token: Option<ProxyToken>,
    certified: bool,
    trusted_proxies: TrustedProxies,
}

impl FrontProxy {
    /// `certified`: whether nobody can connect without a certificate that was made for this.
    pub(crate) fn new(token: Option<ProxyToken>, certified: bool, trusted_proxies: &TrustedProxies) -> Self {
        Self {
            token,
            certified,
            trusted_proxies: trusted_proxies.clone(),
        }
    }

    /// The proxies that a client's address is looked for behind.
    pub(crate) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.trusted_proxies
    }

    /// Lets a front ask: with a token configured whoever sends it, once; without one whoever could connect where that
    /// takes a certificate, and else a trusted proxy.
    pub(crate) fn admit(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Rejection> {
        let Some(token) = &self.token else {
            return if self.certified || self.trusted_proxies.trust(&peer) {
                Ok(())
            } else {
                Err(Rejection::Front("whoever asks is no trusted proxy"))
            };
        };
        let mut sent = headers.get_all(TOKEN).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) if token.is(value) => Ok(()),
            (None, _) => Err(Rejection::Front("whoever asks sends no proxy token")),
            _ => Err(Rejection::Front("whoever asks sends a wrong proxy token")),
        }
    }

    /// Whether an address is a trusted proxy's.
    pub(crate) fn trusts(&self, address: &IpAddr) -> bool {
        self.trusted_proxies.contain(address)
    }
}

/// Carries the proxy token as 64 hexadecimal digits. Like every header under `X-Portcullis-`, none goes on to an upstream.
const TOKEN: HeaderName = HeaderName::from_static("x-portcullis-token");
