//! The head of the request that an upstream gets. Headers that concern only the client's connection or the gateway are
//! removed first; then the headers that only the gateway may set are added.

use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Uri;
use http::header;
use http::request::Parts;
use portcullis::decision::Authenticated;
use portcullis::decision::Permits;
use portcullis::session::Flows;
use portcullis_wire::client::Client;
use portcullis_wire::cookies;
use portcullis_wire::forwarded;
use portcullis_wire::hop_by_hop;

use crate::config::Address;
use crate::config::Cookies;
use crate::config::IdentityHeaders;
use crate::config::UpstreamConfig;
use crate::config::UpstreamHost;
use crate::generation::Route;
use crate::headers::credentials;
use crate::headers::identity;
use crate::headers::mapping;
use crate::headers::mapping::Mapping;
use crate::pipeline::target::Target;
use crate::proxy::AcceptsTrailers;

/// What the head of a request to the upstream is made of, besides the client's own head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpstreamHead<'a> {
    pub(super) route: &'a Route,
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
    /// The user. `None` for anonymous requests.
    pub(super) user: Option<&'a Authenticated>,
    /// What the route's authorizers permit.
    pub(super) permits: &'a Permits,
    /// The headers that tell the upstream who the user is.
    pub(super) identity: &'a IdentityHeaders,
    /// The name of the session cookie. `None` without `[session]`.
    pub(super) session_cookie: Option<&'a str>,
    /// Whether the upstream verifies the credentials itself. It then gets `Authorization`, but no cookies and no other
    /// credentials.
    pub(super) upstream_verifies: bool,
    /// Whether the request is a CORS preflight that nobody has authenticated. It carries no credentials.
    pub(super) is_preflight: bool,
}

impl UpstreamHead<'_> {
    /// Writes the head of the request for the upstream. The method and the path are the client's, byte for byte; `base`
    /// is put in front of the path.
    ///
    /// The order matters: the client's `Connection` header must not be able to remove headers that the gateway adds.
    pub(crate) fn write(self, base: &str, received: Parts) -> Result<Parts, SendError> {
        let mut headers = received.headers;
        let accepts_trailers = hop_by_hop::accepts_trailers(&headers);
        hop_by_hop::remove(&mut headers);
        headers.remove(header::TRAILER);
        self.drop_cookies(&mut headers);
        let query = self.drop_credentials(&mut headers);
        self.name_host(&mut headers)?;
        let prefix = self.route.config.strip_prefix.then(|| self.route.config.prefix());
        forwarded::set(&mut headers, self.client, self.target.authority.as_deref(), prefix);
        let size = identity::set(
            &mut headers,
            self.identity,
            self.route.assertions.as_deref(),
            self.user,
            self.permits,
        )?;
        if let Some(user) = self.user {
            identity::tell_if_large(self.route, user.identity(), size);
        }
        let mut head = Request::new(()).into_parts().0;
        head.method = received.method;
        head.uri = uri(base, self.path(), query.as_deref())?;
        head.headers = headers;
        if accepts_trailers {
            head.extensions.insert(AcceptsTrailers);
        }
        Ok(head)
    }

    /// Removes the cookies that the route drops, and in any case those of sessions and of attempts to log in.
    pub(crate) fn drop_cookies(&self, headers: &mut HeaderMap) {
        cookies::retain_request_cookies(headers, |name| self.passes_cookie(name));
    }

    /// Whether a cookie with this name passes between client and upstream.
    pub(crate) fn passes_cookie(&self, name: &str) -> bool {
        !self.drops_all_cookies() && self.session_cookie.is_none_or(|own| own != name) && !Flows::own(name)
    }

    /// Whether no cookie passes, not even one that a front didn't show to the gateway.
    pub(crate) fn drops_all_cookies(&self) -> bool {
        self.route.config.cookies == Cookies::Drop || self.upstream_verifies
    }

    /// Sets `Host` to the configured one. The client's may have come in `:authority` or in an absolute request line.
    fn name_host(&self, headers: &mut HeaderMap) -> Result<(), http::Error> {
        match (&self.route.config.host, &self.target.authority) {
            (UpstreamHost::Client, Some(authority)) => {
                headers.insert(header::HOST, HeaderValue::from_str(authority)?);
            }
            (UpstreamHost::Client, None) => {}
            (UpstreamHost::Name(name), _) => {
                headers.insert(header::HOST, name.clone());
            }
            // A request without a host gets that of the server.
            (UpstreamHost::Upstream, _) => {
                headers.remove(header::HOST);
            }
        }
        Ok(())
    }

    /// The path for the upstream, without the base.
    fn path(&self) -> &str {
        let path = self.target.path.as_str();
        if self.route.config.strip_prefix {
            mapping::below(path, self.route.config.matcher.path.depth())
        } else {
            path
        }
    }

    /// How the upstream's URLs differ from the client's. `None` if they don't.
    pub(crate) fn mapping<'a>(&'a self, upstream: &'a UpstreamConfig) -> Option<Mapping<'a>> {
        let config = &self.route.config;
        if !config.strip_prefix && config.host == UpstreamHost::Client {
            return None;
        }
        let servers = upstream.servers.iter().filter_map(|server| match &server.address {
            Address::Tcp(authority) => Some(authority.as_str()),
            Address::Unix(_) => None,
        });
        let named = match &config.host {
            UpstreamHost::Name(name) => name.to_str().ok(),
            UpstreamHost::Client | UpstreamHost::Upstream => None,
        };
        let (prefix, base) = match config.strip_prefix {
            true => (config.prefix(), upstream.base.as_str()),
            false => ("", ""),
        };
        Some(Mapping {
            prefix,
            base,
            client: self.target.authority.as_deref(),
            upstream: servers.chain(named).collect(),
        })
    }

    /// Removes the credentials that authenticated the user, and returns the query without them. An anonymous request
    /// keeps its credentials: they weren't for the gateway, so they may be for the upstream.
    pub(crate) fn drop_credentials(&self, headers: &mut HeaderMap) -> Option<String> {
        let query = self.target.query.as_deref();
        if self.keeps_credentials() {
            return query.map(str::to_owned);
        }
        let own = headers
            .get(header::AUTHORIZATION)
            .filter(|_| self.upstream_verifies)
            .cloned();
        credentials::remove(headers, &self.route.credentials);
        if let Some(own) = own {
            headers.insert(header::AUTHORIZATION, own);
        }
        credentials::without_parameters(query, &self.route.credentials)
    }

    /// Whether the upstream gets the client's credentials.
    pub(crate) fn keeps_credentials(&self) -> bool {
        (self.user.is_none() && !self.upstream_verifies && !self.is_preflight)
            || self.route.config.forward_authorization
    }
}

/// Why the head for the upstream can't be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The user can't be sent in headers unchanged.
    #[error(transparent)]
    Identity(#[from] identity::Unsendable),
    /// The base and the path don't form a valid URL.
    #[error("the upstream's address and the path don't form a valid URL: {0}")]
    Uri(#[from] http::Error),
}

fn uri(base: &str, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
    let (mark, query) = query.map_or(("", ""), |query| ("?", query));
    Uri::builder()
        .path_and_query(format!("{base}{path}{mark}{query}"))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_forwarded_byte_for_byte() {
        for (base, path, query, expected) in [
            ("", "/", None, "/"),
            ("", "/%61/b;c=1/@/x%20y", Some(""), "/%61/b;c=1/@/x%20y?"),
            ("/base", "/a", Some("b=%zz&c?d"), "/base/a?b=%zz&c?d"),
        ] {
            assert_eq!(uri(base, path, query).unwrap().to_string(), expected);
        }
    }
}
