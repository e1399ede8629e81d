//! The forward proxy through which requests of plugins leave a network that has no other way out.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::proxy::matcher::Matcher;

/// The forward proxies for requests of plugins, by the scheme of the request. A clone is the same.
///
/// A request over https asks its proxy for a tunnel (`CONNECT`), so that the proxy sees neither the request nor the
/// response. Grants are checked before, on the name of the server. The proxy resolves that name, so what the name resolves to
/// can't be checked.
#[derive(Clone)]
pub struct OutboundProxy(Arc<Matcher>);

impl OutboundProxy {
    /// Proxies as the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them; an empty text is none. `no_proxy` is a
    /// list of domains, addresses and networks whose servers are asked directly; this machine always is.
    ///
    /// # Errors
    ///
    /// Returns an error if a proxy isn't `http://[USER:PASSWORD@]HOST[:PORT]`.
    pub fn new(http: &str, https: &str, no_proxy: &str) -> Result<Self, OutboundProxyError> {
        for url in [http, https].into_iter().filter(|url| !url.is_empty()) {
            let uri: Uri = url.parse().map_err(|_| OutboundProxyError)?;
            let is_proxy = uri.scheme() == Some(&Scheme::HTTP) && uri.host().is_some_and(|host| !host.is_empty());
            if !is_proxy || !matches!(uri.path(), "" | "/") {
                return Err(OutboundProxyError);
            }
        }
        let matcher = Matcher::builder()
            .http(http.to_owned())
            .https(https.to_owned())
            .no(format!("{no_proxy},{THIS_MACHINE}"));
        Ok(Self(Arc::new(matcher.build())))
    }

    /// The address of the proxy for a request to this URI, and the value of `Proxy-Authorization` for it. `None` if the server
    /// is asked directly.
    pub fn find(&self, uri: &Uri) -> Option<(Uri, Option<HeaderValue>)> {
        self.for_request(uri).map(|proxy| (proxy.uri, proxy.credentials))
    }

    /// The proxy for a request to this URI. `None` if the server is asked directly.
    pub(super) fn for_request(&self, uri: &Uri) -> Option<Proxy> {
        let intercept = self.0.intercept(uri)?;
        Some(Proxy {
            uri: intercept.uri().clone(),
            credentials: intercept.basic_auth().cloned(),
        })
    }
}

/// One proxy.
pub(super) struct Proxy {
    pub(super) uri: Uri,
    /// The value of `Proxy-Authorization`. `None` if the proxy asks for none.
    pub(super) credentials: Option<HeaderValue>,
}

/// The proxies can contain passwords.
impl fmt::Debug for OutboundProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutboundProxy")
    }
}

/// Why a text names no forward proxy. It doesn't contain the text, which can have a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboundProxyError;

impl fmt::Display for OutboundProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a forward proxy, such as http://proxy.example:3128 or http://USER:PASSWORD@proxy.example:3128")
    }
}

impl std::error::Error for OutboundProxyError {}

const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_chosen_by_scheme_and_host() {
        let proxy = OutboundProxy::new("http://a:1", "http://u:p@b:2", "internal.example,10.0.0.0/8").unwrap();
        for (uri, expected) in [
            ("http://idp.example/x", Some("a:1")),
            ("https://idp.example/x", Some("b:2")),
            ("https://internal.example/", None),
            ("https://x.internal.example/", None),
            ("https://10.1.2.3/", None),
            ("http://localhost:8081/", None),
            ("http://127.0.0.1:8081/", None),
            ("http://[::1]:8081/", None),
        ] {
            let found = proxy.for_request(&uri.parse().unwrap());
            let found = found.map(|found| found.uri.authority().unwrap().to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
        let secure = proxy.for_request(&"https://idp.example/".parse().unwrap()).unwrap();
        assert_eq!(secure.credentials.unwrap(), "Basic dTpw");
        let none = OutboundProxy::new("", "", "").unwrap();
        assert!(none.for_request(&"https://idp.example/".parse().unwrap()).is_none());
    }

    #[test]
    fn only_http_proxies_are_accepted() {
        for url in [
            "proxy:3128",
            "https://proxy",
            "socks5://proxy",
            "http://",
            "http://proxy/path",
            "http:///x",
            "nonsense",
        ] {
            assert_eq!(OutboundProxy::new(url, "", "").err(), Some(OutboundProxyError), "{url}");
        }
        assert!(!format!("{:?}", OutboundProxy::new("http://u:secret@p", "", "").unwrap()).contains("secret"));
    }
}
