//! Where a user goes after a login or a logout: a place on the same origin. One check is for all pages that are told such a place,
//! because a browser reads some texts in another way than a program does.

use std::fmt;

use portcullis_wire::path::CanonicalPath;

use crate::answers::internal_pages;

/// The longest such place, in bytes. It is in a cookie.
const MAX: usize = 1024;

/// A path with an optional query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// The front page.
    pub(crate) fn root() -> Self {
        Self("/".to_owned())
    }

    /// Reads a place. It is the front page for whatever isn't a plain path on this origin: another site (CVE-2020-4037), a
    /// backslash or a control character, encoded or not (CVE-2026-83589), a page of the gateway, or a longer text.
    pub(crate) fn parse(text: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#';
        if text.len() > MAX || !text.bytes().all(is_plain) {
            return Self::root();
        }
        let path = text.split('?').next().unwrap_or_default();
        match CanonicalPath::parse_with_encoded_slashes(path) {
            Ok(path) if !internal_pages::covers(&path) => Self(text.to_owned()),
            _ => Self::root(),
        }
    }

    /// The place that a request asks for.
    pub(crate) fn of(path: &str, query: Option<&str>) -> Self {
        match query {
            Some(query) => Self::parse(&format!("{path}?{query}")),
            None => Self::parse(path),
        }
    }

    /// The place as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.0.split('?').next().unwrap_or("/")
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attacks 1 to 3 on logins: open redirects (GHSA-qqxw-m5fj-f7gv, GHSA-4mf2-f3wh-gvf2, CVE-2021-39191).
    #[test]
    fn only_a_place_on_this_origin_is_a_place() {
        let long = format!("/{}", "a".repeat(1024));
        for wrong in [
            "",
            "a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/%09/evil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/a\\b",
            "/a?b\\c",
            "/%0d%0aset-cookie:a=b",
            "/\r\nset-cookie:a=b",
            "/a b",
            "/a#b",
            "/..//evil.example",
            "/.//evil.example",
            "/a/../../b",
            "/%2e%2e/a",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "@evil.example",
            "/.portcullis/logout",
            "/.portcullis",
            "/%2eportcullis/login/a",
            "/.portcullis;a/login",
            "/ä",
            &long,
        ] {
            assert_eq!(ReturnTo::parse(wrong), ReturnTo::root(), "{wrong:?}");
        }
        for right in [
            "/",
            "/a/b?c=d&e=f",
            "/?",
            "/a?url=https://example.org//x",
            "/a?b=%5c%0a",
            "/a%20b",
            "/portcullis",
            "/a/.portcullis",
            &long[..1024],
        ] {
            assert_eq!(ReturnTo::parse(right).as_str(), right);
        }
        assert_eq!(ReturnTo::of("/a", Some("b=c")).as_str(), "/a?b=c");
        assert_eq!(ReturnTo::of("/a", None).as_str(), "/a");
        assert_eq!(ReturnTo::parse("/a?b").path(), "/a");
    }
}
