//! The kinds of listeners that clients and fronts connect to. A configuration has at most one of each.

use crate::config::Listen;
use crate::config::ListenConfig;
use crate::config::TlsConfig;

/// A kind of listener. The public one is the last, so that its line in the log says that all of them listen.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ListenerKind {
    /// Fronts that ask over HTTP.
    ForwardAuth,
    /// Envoy, which asks over gRPC.
    ExtAuthz,
    /// Clients that are redirected to https.
    Redirect,
    /// Clients.
    Public,
}

impl ListenerKind {
    /// All kinds.
    pub(super) const ALL: [Self; 4] = [Self::ForwardAuth, Self::ExtAuthz, Self::Redirect, Self::Public];

    /// The section of the configuration that has its `listen`.
    pub(super) const fn section(self) -> &'static str {
        match self {
            Self::ForwardAuth => "forward_auth",
            Self::ExtAuthz => "ext_authz",
            Self::Redirect => "server.redirect",
            Self::Public => "server",
        }
    }

    /// What the log says when it listens at an address.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::ForwardAuth => "listening for forward-auth",
            Self::ExtAuthz => "listening for ext_authz",
            Self::Redirect => "redirecting to https",
            Self::Public => "listening",
        }
    }

    /// Its addresses. `None` if there is no such listener.
    pub(super) fn listen(self, config: &ListenConfig) -> Option<&Listen> {
        match self {
            Self::ForwardAuth => config.forward_auth.as_ref()?.listen.as_ref(),
            Self::ExtAuthz => Some(&config.ext_authz.as_ref()?.listen),
            Self::Redirect => Some(&config.server.redirect.as_ref()?.listen),
            Self::Public => Some(&config.server.listen),
        }
    }

    /// Its TLS. `None` for plain text.
    pub(super) fn tls(self, config: &ListenConfig) -> Option<&TlsConfig> {
        match self {
            Self::ForwardAuth => config.forward_auth.as_ref()?.tls.as_ref(),
            Self::ExtAuthz => config.ext_authz.as_ref()?.tls.as_ref(),
            Self::Redirect => None,
            Self::Public => config.server.tls.as_ref(),
        }
    }

    /// Whether clients connect to it, and not fronts.
    pub(super) const fn is_for_clients(self) -> bool {
        matches!(self, Self::Public | Self::Redirect)
    }
}
