//! The parts of a request that carry the client's credentials on one route. The upstream gets none of them, unless the
//! route sets `forward_authorization`.

use http::HeaderName;
use http::header;
use portcullis::Grants;

/// The headers, cookies and query parameters that carry credentials because the route's authenticators may read them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Credentials {
    /// `Authorization`, and the other granted headers. Headers that describe the client or its request are left out.
    pub(crate) headers: Vec<HeaderName>,
    /// The granted cookies.
    pub(crate) cookies: Vec<String>,
    /// The names of the granted query parameters. A grant of all parameters (`*`) adds no names.
    pub(crate) query: Vec<String>,
}

impl Credentials {
    /// Combines the grants of all authenticators of a route.
    pub(crate) fn of<'a>(grants: impl IntoIterator<Item = &'a Grants>) -> Self {
        let mut all = Self {
            headers: vec![header::AUTHORIZATION],
            ..Self::default()
        };
        for grants in grants {
            all.headers.extend(grants.credential_headers().cloned());
            all.cookies.extend(grants.cookies.iter().cloned());
            all.query
                .extend(grants.query.iter().filter(|name| *name != "*").cloned());
        }
        all.headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        all.headers.dedup();
        all.cookies.sort();
        all.cookies.dedup();
        all.query.sort();
        all.query.dedup();
        all
    }
}
