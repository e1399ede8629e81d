//! Spellings of a header name that some upstreams treat as the same header.

use std::borrow::Cow;

use http::HeaderMap;
use http::HeaderName;

/// Folds all spellings of a name into one, with `-` for every character that isn't a letter or digit.
///
/// CGI and its descendants turn headers into variables and replace these characters by underscores, so that
/// `X_Forwarded.User` and `X-Forwarded-User` become the same variable (CVE-2025-64484, CVE-2026-52845). A
/// [`HeaderName`] is already in lower case.
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

/// Removes every header whose name matches the predicate, and returns the names.
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
    fn all_spellings_of_a_name_fold_into_one() {
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
        assert!(matches!(
            fold(&HeaderName::from_static("x-auth-user2")),
            Cow::Borrowed(_)
        ));
        for other in ["x-authuser", "x-auth--user", "auth-user"] {
            assert_ne!(fold(&other.parse().unwrap()), "x-auth-user", "{other}");
        }
    }
}
