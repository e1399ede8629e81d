//! Spellings of a header name that some upstreams treat as the same header.

use std::borrow::Cow;
use std::collections::HashSet;

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

/// Names of headers, and beginnings of names, each in every spelling.
#[derive(Clone, Debug, Default)]
pub struct FoldedNames {
    whole: HashSet<Cow<'static, str>>,
    prefixes: &'static [&'static str],
    /// The first bytes of all of them, a bit for each.
    initials: u128,
}

impl FoldedNames {
    /// Collects names and prefixes, which must be folded.
    pub fn new(whole: impl IntoIterator<Item = Cow<'static, str>>, prefixes: &'static [&'static str]) -> Self {
        let whole = HashSet::from_iter(whole);
        let all = whole.iter().map(|name| &**name).chain(prefixes.iter().copied());
        let initials = all.fold(0, |initials, name| initials | initial(name));
        Self {
            whole,
            prefixes,
            initials,
        }
    }

    /// Whether a header has one of the names.
    pub fn contains(&self, name: &HeaderName) -> bool {
        // Few names of a client's headers get past this.
        if self.initials & initial(name.as_str()) == 0 {
            return false;
        }
        let folded = fold(name);
        self.whole.contains(folded.as_ref()) || self.prefixes.iter().any(|prefix| folded.starts_with(prefix))
    }
}

/// The bit of the first byte of a name, folded.
fn initial(name: &str) -> u128 {
    let byte = name.bytes().next().unwrap_or_default();
    let folded = if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    1_u128.checked_shl(u32::from(folded)).unwrap_or_default()
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
