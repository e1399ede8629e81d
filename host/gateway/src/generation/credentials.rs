//! Where a client's credentials stand in a request to one route. They are the gateway's business: unless a route says
//! `forward_authorization`, its upstream gets none of them.

use http::HeaderName;
use http::header;
use portcullis::Grants;

/// Headers, cookies and parameters that carry credentials, because authenticators may read them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Credentials {
    /// `Authorization`, and the other granted headers. Headers that describe the client or its request are left out.
    pub(crate) headers: Vec<HeaderName>,
    /// The granted cookies.
    pub(crate) cookies: Vec<String>,
    /// The granted parameters of the query, by name. A grant of all parameters names none of them.
    pub(crate) query: Vec<String>,
}

impl Credentials {
    /// What the authenticators of a route may read, taken together.
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
