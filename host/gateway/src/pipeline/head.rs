//! The request that an upstream gets: what belongs to the client's connection and to the gateway goes, then what only
//! the gateway may say comes.

use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Uri;
use http::header;
use http::request::Parts;
use portcullis::decision::Authenticated;
use portcullis_wire::client::Client;
use portcullis_wire::cookies;
use portcullis_wire::forwarded;
use portcullis_wire::hop_by_hop;

use crate::config::Cookies;
use crate::config::IdentityHeaders;
use crate::generation::Route;
use crate::headers::credentials;
use crate::headers::identity;
use crate::pipeline::target::Target;
use crate::proxy::AcceptsTrailers;

/// What the head of a request to the upstream is made of, beside the client's own head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpstreamHead<'a> {
    pub(super) route: &'a Route,
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
    /// The user. `None` for anonymous requests.
    pub(super) user: Option<&'a Authenticated>,
    /// The headers by which the upstream knows the user.
    pub(super) identity: &'a IdentityHeaders,
    /// The name of the gateway's own cookie. `None` without sessions.
    pub(super) session_cookie: Option<&'a str>,
    /// Whether the upstream verifies the credentials itself: then it gets `Authorization`, and no cookie and no other
    /// credentials beside it.
    pub(super) upstream_verifies: bool,
}

impl UpstreamHead<'_> {
    /// Writes the request's head for the upstream, whose path is put before the client's. The method and the path are the
    /// client's, byte for byte.
    ///
    /// The order matters: no name in the client's `Connection` header may remove what is added after.
    pub(crate) fn write(self, base: &str, received: Parts) -> Result<Parts, SendError> {
        let mut headers = received.headers;
        let accepts_trailers = hop_by_hop::accepts_trailers(&headers);
        hop_by_hop::remove(&mut headers);
        headers.remove(header::TRAILER);
        self.drop_cookies(&mut headers);
        let query = self.drop_credentials(&mut headers);
        self.name_host(&mut headers)?;
        forwarded::set(&mut headers, self.client, self.target.authority.as_deref());
        if let Some(user) = self.user {
            identity::set(&mut headers, self.identity, user)?;
        }
        let mut head = Request::new(()).into_parts().0;
        head.method = received.method;
        head.uri = uri(base, self.target.path.as_str(), query.as_deref())?;
        head.headers = headers;
        if accepts_trailers {
            head.extensions.insert(AcceptsTrailers);
        }
        Ok(head)
    }

    /// Removes the cookies that the route drops, and always the gateway's own.
    pub(crate) fn drop_cookies(&self, headers: &mut HeaderMap) {
        cookies::retain_request_cookies(headers, |name| self.passes_cookie(name));
    }

    /// Whether a cookie of this name passes between client and upstream.
    pub(crate) fn passes_cookie(&self, name: &[u8]) -> bool {
        !self.drops_all_cookies() && self.session_cookie.is_none_or(|own| own.as_bytes() != name)
    }

    /// Whether no cookie passes at all, not even one that the gateway hasn't been shown.
    pub(crate) fn drops_all_cookies(&self) -> bool {
        self.route.config.cookies == Cookies::Drop || self.upstream_verifies
    }

    /// `Host` is the client's, also where HTTP/2 or an absolute request line said it elsewhere.
    fn name_host(&self, headers: &mut HeaderMap) -> Result<(), http::Error> {
        if let Some(authority) = &self.target.authority {
            headers.insert(header::HOST, HeaderValue::from_str(authority)?);
        }
        Ok(())
    }

    /// Removes what the user proved their identity with, and returns the query without it. An anonymous request had
    /// nothing for the gateway, so what it carries is the upstream's.
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

    /// Whether the client's credentials are for the upstream too.
    pub(crate) fn keeps_credentials(&self) -> bool {
        (self.user.is_none() && !self.upstream_verifies) || self.route.config.forward_authorization
    }
}

/// Why a request can't be written down for its upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Headers would change who the user is.
    #[error(transparent)]
    Identity(#[from] identity::Unsendable),
    /// The path and the upstream's own make no URL.
    #[error("the upstream's address and the path make no URL: {0}")]
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
    fn the_path_goes_on_byte_for_byte() {
        for (base, path, query, expected) in [
            ("", "/", None, "/"),
            ("", "/%61/b;c=1/@/x%20y", Some(""), "/%61/b;c=1/@/x%20y?"),
            ("/base", "/a", Some("b=%zz&c?d"), "/base/a?b=%zz&c?d"),
        ] {
            assert_eq!(uri(base, path, query).unwrap().to_string(), expected);
        }
    }
}
