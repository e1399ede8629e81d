//! How an authenticator's requests to other servers are sent, beyond what its grants say: whom it trusts over TLS and who
//! it is there, and what the host adds that the plugin never sees.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Uri;
use http::header;

use crate::grants::HttpGrant;

/// How an authenticator asks other servers.
#[derive(Clone)]
pub struct Outbound {
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) refresh_floor: Duration,
    headers: Vec<Addition>,
}

/// A header for the requests to one server.
#[derive(Clone)]
struct Addition {
    server: HttpGrant,
    name: HeaderName,
    value: HeaderValue,
}

impl Outbound {
    /// Whom it trusts over https, and the certificate that it shows. Default: what the engine was given. Protocols for
    /// ALPN and the store of TLS sessions are the authenticator's own, whatever the configuration has.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Adds a header to each request to this server: scheme, host, port, and path where the server has one. It takes the
    /// place of any that the plugin set, and the plugin never sees its value. It is sent only where a grant permits the
    /// request too. Of several servers that fit, the one with the longest path decides.
    ///
    /// # Errors
    ///
    /// When the server is a wildcard, or the header says how a message travels.
    pub fn header(
        mut self,
        server: HttpGrant,
        name: HeaderName,
        mut value: HeaderValue,
    ) -> Result<Self, OutboundError> {
        if server.is_wildcard() {
            return Err(OutboundError::Wildcard);
        }
        if FRAMING.contains(&name) || name.as_str().starts_with("proxy-") {
            return Err(OutboundError::Framing(name));
        }
        value.set_sensitive(true);
        self.headers.push(Addition { server, name, value });
        self.headers.sort_by_key(|addition| addition.server.path_length());
        Ok(self)
    }

    /// How long a stored answer stands against requests that ask for a newer one (`Cache-Control: no-cache`), so that a
    /// caller of the gateway can't turn its requests into a flood on the server. Default: 5 seconds.
    #[must_use]
    pub fn refresh_floor(mut self, floor: Duration) -> Self {
        self.refresh_floor = floor;
        self
    }

    /// Puts the additions for this URI into a request's headers.
    pub(super) fn complete(&self, uri: &Uri, headers: &mut HeaderMap) {
        for Addition { name, value, .. } in self.headers.iter().filter(|addition| addition.server.permits(uri)) {
            headers.insert(name, value.clone());
        }
    }
}

/// Headers that say how a message travels (RFC 9110, section 7.6.1, and RFC 9112), or that select the server.
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
            refresh_floor: Duration::from_secs(5),
            headers: Vec::new(),
        }
    }
}

/// Says which headers are added where, and never what is in them.
impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = self
            .headers
            .iter()
            .map(|added| format!("{} for {}", added.name, added.server));
        f.debug_struct("Outbound")
            .field("tls", &self.tls.is_some())
            .field("refresh_floor", &self.refresh_floor)
            .field("headers", &Vec::from_iter(headers))
            .finish()
    }
}

/// Why a header can't be added to requests.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The header is not anybody's to set.
    #[error("a {0} header says how a message travels and can't be set")]
    Framing(HeaderName),
    /// The value would go to whoever is behind the wildcard.
    #[error("a header is added for one server, not for a wildcard")]
    Wildcard,
}

#[cfg(test)]
mod tests {
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
    fn a_header_goes_to_its_server_and_nowhere_else() {
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
    fn what_is_not_to_be_added_is_refused() {
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
    fn values_are_never_shown() {
        let outbound = outbound(&[("https://idp", "authorization", "hunter2")]).unwrap();
        let mut headers = HeaderMap::new();
        outbound.complete(&"https://idp/".parse().unwrap(), &mut headers);
        let shown = format!("{outbound:?} {headers:?}");
        assert!(shown.contains("authorization"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
