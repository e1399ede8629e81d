//! The claims of an assertion: what the upstream learns of a user. It is what the route's identity headers carry, and no more.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is said of a user.
#[derive(Debug, Serialize)]
pub(crate) struct Claims<'a> {
    /// Whom it is for (RFC 7519, section 4.1.3).
    pub(crate) aud: &'a str,
    /// The user's name.
    pub(crate) sub: &'a str,
    /// The user's groups, of those that the route sends.
    pub(crate) groups: Vec<&'a str>,
    /// Whether the user is an administrator.
    pub(crate) admin: bool,
    /// The authenticator that admitted the user.
    pub(crate) authenticator: &'a str,
    /// The user's attributes, of those that the route sends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: BTreeMap<&'a str, &'a str>,
    /// By authorizer, what it says beside its permission, of that which the route sends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) permits: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
}

/// Claims that are made at a time.
#[derive(Debug, Serialize)]
pub(super) struct DatedClaims<'a> {
    iss: &'a str,
    iat: u64,
    exp: u64,
    #[serde(flatten)]
    claims: &'a Claims<'a>,
}

impl Claims<'_> {
    /// The claims of an issuer that are valid between these times, in seconds since 1970 (RFC 7519, section 4.1).
    pub(super) fn at<'a>(&'a self, issuer: &'a str, now: u64, end: u64) -> DatedClaims<'a> {
        DatedClaims {
            iss: issuer,
            iat: now,
            exp: end,
            claims: self,
        }
    }
}
