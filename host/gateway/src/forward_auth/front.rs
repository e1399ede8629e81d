//! Authenticates fronts. What a front says about a request decides who is admitted, so a client that calls the endpoint
//! directly is rejected.

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

use crate::config::TlsConfig;
use crate::config::Token;
use crate::generation::Generation;
use crate::pipeline::Rejection;

/// How fronts are recognised, as the current generation says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrontProxy<'a> {
    token: Option<&'a Token>,
    /// Whether the listener accepts only peers that have a client certificate for it.
    needs_certificate: bool,
    trusted_proxies: &'a TrustedProxies,
}

impl<'a> FrontProxy<'a> {
    /// The fronts that ask over HTTP. `None` if they aren't served.
    pub(crate) fn over_http(generation: &'a Generation) -> Option<Self> {
        let config = generation.listen().forward_auth.as_ref()?;
        Some(Self::new(generation, config.proxy_token.as_ref(), config.tls.as_ref()))
    }

    /// The fronts that ask over gRPC. `None` if they aren't served.
    pub(crate) fn over_grpc(generation: &'a Generation) -> Option<Self> {
        let config = generation.listen().ext_authz.as_ref()?;
        Some(Self::new(generation, config.proxy_token.as_ref(), config.tls.as_ref()))
    }

    fn new(generation: &'a Generation, token: Option<&'a Token>, tls: Option<&TlsConfig>) -> Self {
        Self {
            token,
            needs_certificate: tls.is_some_and(TlsConfig::requires_certificates),
            trusted_proxies: generation.trusted_proxies(),
        }
    }

    /// The proxies that are skipped when the client's address is looked for.
    pub(crate) fn trusted_proxies(&self) -> &TrustedProxies {
        self.trusted_proxies
    }

    /// Checks that the peer is a front. If a token is configured, the peer must send it exactly once. Otherwise the peer
    /// must have shown the client certificate that the listener requires, or be a trusted proxy.
    ///
    /// A connection that is older than the requirement has no certificate.
    pub(crate) fn admit(&self, peer: Peer, has_certificate: bool, headers: &HeaderMap) -> Result<(), Rejection> {
        let Some(token) = self.token else {
            let is_certified = self.needs_certificate && has_certificate;
            return if is_certified || self.trusted_proxies.trust(&peer) {
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
