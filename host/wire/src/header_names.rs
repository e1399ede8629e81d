//! Spellings of a header's name that some upstream takes for the same header.

use std::borrow::Cow;

use http::HeaderMap;
use http::HeaderName;

/// The name as a careless upstream reads it. CGI and its descendants make a variable of every header and turn what is
/// no letter or digit into an underscore, so `X_Forwarded.User` arrives as `X-Forwarded-User` does (CVE-2025-64484,
/// CVE-2026-52845). Names of headers are in lower case already.
pub fn fold(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Cow::Borrowed(name);
    }
    Cow::Owned(
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect(),
    )
}

/// Removes every header whose name is chosen, and returns the names.
pub fn remove_where(headers: &mut HeaderMap, predicate: impl Fn(&HeaderName) -> bool) -> Vec<HeaderName> {
    let names = headers
        .keys()
        .filter(|name| predicate(name))
        .cloned()
        .collect::<Vec<_>>();
    for name in &names {
        headers.remove(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_folds_into_one() {
        for spelling in [
            "X-Auth-User",
            "x_auth_user",
            "X.Auth.User",
            "x-Auth_User",
            "x~auth|user",
            "X!AUTH*USER",
        ] {
            assert_eq!(fold(&spelling.parse().unwrap()), "x-auth-user", "{spelling}");
        }
        for other in ["x-authuser", "x-auth--user", "auth-user"] {
            assert_ne!(fold(&other.parse().unwrap()), "x-auth-user", "{other}");
        }
    }
}
