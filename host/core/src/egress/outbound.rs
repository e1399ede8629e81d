//! The configuration of an authenticator's requests to other servers: the TLS client, and secrets that the host adds
//! and the plugin never sees. Which servers it may reach is in its grants.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::Uri;
use http::header;

use super::played::PlayedServers;
use super::secret_header::SecretHeader;
use crate::grants::HttpGrant;

/// How the requests of an authenticator to other servers are sent.
#[derive(Clone)]
pub struct Outbound {
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) refresh_floor: Duration,
    pub(super) servers: Option<Arc<dyn PlayedServers>>,
    headers: Vec<Addition>,
}

/// A header field for the requests to one server.
#[derive(Clone)]
struct Addition {
    server: HttpGrant,
    name: HeaderName,
    value: SecretHeader,
}

impl Outbound {
    /// The TLS configuration: the trusted certificate authorities and the client certificate. Its ALPN protocols and
    /// its session store are not used. Default: [`EngineBuilder::tls`](crate::EngineBuilder::tls).
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Adds a header field, such as a secret, to each request that `server` covers. It replaces fields of the same name
    /// that the plugin set, and the plugin never sees its value. If several servers cover a request, the one with the
    /// longest path applies. The request needs a grant as well. A [`SecretHeader`] can be replaced later.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is a wildcard, or if the header is about the connection or the framing.
    pub fn header(
        mut self,
        server: HttpGrant,
        name: HeaderName,
        value: impl Into<SecretHeader>,
    ) -> Result<Self, OutboundError> {
        if server.is_wildcard() {
            return Err(OutboundError::Wildcard);
        }
        if FRAMING.contains(&name) || name.as_str().starts_with("proxy-") {
            return Err(OutboundError::Framing(name));
        }
        let value = value.into();
        self.headers.push(Addition { server, name, value });
        self.headers.sort_by_key(|addition| addition.server.path_length());
        Ok(self)
    }

    /// The default of [`Outbound::refresh_floor`].
    pub const DEFAULT_REFRESH_FLOOR: Duration = Duration::from_secs(5);

    /// How long a stored response is returned even to requests that ask for a newer one, by `Cache-Control: no-cache`
    /// for example. Clients of the gateway therefore can't make a plugin flood the server. Default:
    /// [`Outbound::DEFAULT_REFRESH_FLOOR`].
    #[must_use]
    pub fn refresh_floor(mut self, floor: Duration) -> Self {
        self.refresh_floor = floor;
        self
    }

    /// Sends all requests to servers that the application plays, for tests of a plugin. No name is resolved, no proxy is used,
    /// and there is no TLS. Default: requests go over the network.
    #[must_use]
    pub fn servers(mut self, servers: Arc<dyn PlayedServers>) -> Self {
        self.servers = Some(servers);
        self
    }

    /// Adds the fields for this URI to a request's headers.
    pub(super) fn complete(&self, uri: &Uri, headers: &mut HeaderMap) {
        for Addition { name, value, .. } in self.headers.iter().filter(|addition| addition.server.permits(uri)) {
            headers.insert(name, value.get());
        }
    }
}

/// Headers about the connection and the framing (RFC 9110, section 7.6.1, and RFC 9112), and `Host`.
const FRAMING: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

impl Default for Outbound {
    fn default() -> Self {
        Self {
            tls: None,
            refresh_floor: Self::DEFAULT_REFRESH_FLOOR,
            servers: None,
            headers: Vec::new(),
        }
    }
}

/// Shows the names of the headers, but not their values.
impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = self
            .headers
            .iter()
            .map(|added| format!("{} for {}", added.name, added.server));
        f.debug_struct("Outbound")
            .field("tls", &self.tls.is_some())
            .field("refresh_floor", &self.refresh_floor)
            .field("servers", &self.servers)
            .field("headers", &Vec::from_iter(headers))
            .finish()
    }
}

/// Why a header field can't be added to requests.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The header is about the connection or the framing.
    #[error("a {0} header says how a message travels and can't be set")]
    Framing(HeaderName),
    /// The server is a wildcard, so that the value could be sent to any host that it covers.
    #[error("a header is added for one server, not for a wildcard")]
    Wildcard,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn outbound(added: &[(&str, &'static str, &'static str)]) -> Result<Outbound, OutboundError> {
        added
            .iter()
            .try_fold(Outbound::default(), |outbound, (server, name, value)| {
                outbound.header(
                    server.parse().unwrap(),
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
    }

    #[test]
    fn a_header_is_sent_to_its_server_only() {
        let outbound = outbound(&[
            ("https://idp.example/admin", "authorization", "admin"),
            ("https://idp.example", "authorization", "all"),
        ]);
        let outbound = outbound.unwrap();
        for (url, expected) in [
            ("https://idp.example/keys", Some("all")),
            ("https://IDP.example.:443/", Some("all")),
            ("https://idp.example/admin/users", Some("admin")),
            ("https://idp.example/admin/../keys", Some("all")),
            ("https://idp.example/administrators", Some("all")),
            ("http://idp.example/", None),
            ("http://idp.example:443/", None),
            ("https://idp.example:8443/", None),
            ("https://x.idp.example/", None),
            ("https://idp.example.evil/", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append("authorization", HeaderValue::from_static("the plugin's"));
            headers.append("authorization", HeaderValue::from_static("the plugin's other"));
            outbound.complete(&url.parse().unwrap(), &mut headers);
            let values = Vec::from_iter(headers.get_all("authorization"));
            match expected {
                Some(value) => assert_eq!(values, [value], "{url}"),
                None => assert_eq!(values.len(), 2, "{url}"),
            }
        }
    }

    #[test]
    fn wildcards_and_framing_headers_are_refused() {
        assert_eq!(
            outbound(&[("https://*.example", "authorization", "x")]).unwrap_err(),
            OutboundError::Wildcard
        );
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "te",
            "proxy-authorization",
        ] {
            let refused = outbound(&[("https://idp", name, "x")]).unwrap_err();
            assert_eq!(refused, OutboundError::Framing(HeaderName::from_static(name)));
        }
    }

    #[test]
    fn values_are_never_shown_in_debug_output() {
        let outbound = outbound(&[("https://idp", "authorization", "hunter2")]).unwrap();
        let mut headers = HeaderMap::new();
        outbound.complete(&"https://idp/".parse().unwrap(), &mut headers);
        let shown = format!("{outbound:?} {headers:?}");
        assert!(shown.contains("authorization"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
