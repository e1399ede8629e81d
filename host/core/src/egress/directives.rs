//! Reads `Cache-Control`, and converts headers to the form that the crate `http-cache-semantics` understands.
//! Directives are compared without case.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::header;

/// The largest age that is represented, in seconds (RFC 9111, section 1.2.2).
const MAX_AGE: u64 = 1 << 31;

/// The value of a directive. The outer `Option` is `None` if the directive is absent, the inner one if it has no value.
pub(super) fn directive<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<Option<&'h str>> {
    let fields = headers.get_all(header::CACHE_CONTROL).iter();
    let directives = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','));
    directives
        .map(|directive| match directive.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (directive.trim(), None),
        })
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value)
}

/// Whether a directive is present.
pub(super) fn has(headers: &HeaderMap, wanted: &str) -> bool {
    directive(headers, wanted).is_some()
}

/// The duration of a directive whose value is a number of seconds.
pub(super) fn seconds(headers: &HeaderMap, wanted: &str) -> Option<Duration> {
    let seconds: u64 = directive(headers, wanted)??.parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_AGE)))
}

/// Whether a request asks for a newer response than a stored one may be.
pub(super) fn insists(headers: &HeaderMap) -> bool {
    let pragma = headers.get(header::PRAGMA).and_then(|value| value.to_str().ok());
    has(headers, "no-cache")
        || has(headers, "max-age")
        || has(headers, "min-fresh")
        || pragma.is_some_and(|pragma| pragma.to_ascii_lowercase().contains("no-cache"))
}

/// A copy for `http-cache-semantics`, which knows directives in lower case only, ignores fields that are not ASCII, and
/// overflows on a large `Age`.
pub(super) fn plain(headers: &HeaderMap) -> HeaderMap {
    let mut plain = headers.clone();
    for (_, value) in plain.iter_mut().filter(|(name, _)| **name == header::CACHE_CONTROL) {
        let lower = value.to_str().map(str::to_ascii_lowercase).ok();
        *value = lower
            .and_then(|lower| HeaderValue::try_from(lower).ok())
            .unwrap_or(HeaderValue::from_static("no-store"));
    }
    if let Some(age) = headers.get(header::AGE) {
        let age: Option<u64> = age.to_str().ok().and_then(|age| age.parse().ok());
        plain.insert(header::AGE, HeaderValue::from(age.unwrap_or(MAX_AGE).min(MAX_AGE)));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
        fields.iter().map(field).collect()
    }

    #[test]
    fn directives_are_found_without_case_and_in_any_field() {
        let read = headers(&[
            ("cache-control", "Max-Age=60, public"),
            ("cache-control", "STALE-IF-ERROR=\"90\""),
        ]);
        assert_eq!(seconds(&read, "max-age"), Some(Duration::from_secs(60)));
        assert_eq!(seconds(&read, "stale-if-error"), Some(Duration::from_secs(90)));
        assert!(has(&read, "public"));
        assert_eq!(seconds(&read, "public"), None);
        assert!(!has(&read, "age"));
    }

    #[test]
    fn fields_that_the_crate_would_misread_are_rewritten() {
        for (given, expected) in [
            (("cache-control", "No-Store"), "no-store"),
            (("age", "18446744073709551615"), "2147483648"),
            (("age", "99999999999999999999999"), "2147483648"),
            (("age", "7"), "7"),
        ] {
            assert_eq!(plain(&headers(&[given])).get(given.0).unwrap(), expected);
        }
        let mut unreadable = HeaderMap::new();
        unreadable.insert("cache-control", HeaderValue::from_bytes(b"no-store, a=\xe9").unwrap());
        assert_eq!(plain(&unreadable).get("cache-control").unwrap(), "no-store");
    }

    #[test]
    fn each_directive_for_a_newer_response_is_recognised() {
        for (field, expected) in [
            (("cache-control", "no-cache"), true),
            (("cache-control", "max-age=0"), true),
            (("cache-control", "stale-if-error=60"), false),
            (("pragma", "No-Cache"), true),
            (("accept", "no-cache"), false),
        ] {
            assert_eq!(insists(&headers(&[field])), expected, "{field:?}");
        }
    }
}
