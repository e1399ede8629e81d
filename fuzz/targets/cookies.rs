//! Cookies: one that must be removed never passes, however the header is written.
#![cfg_attr(feature = "libfuzzer", no_main)]

use http::HeaderMap;
use http::HeaderValue;
use http::header::COOKIE;
use http::header::SET_COOKIE;
use portcullis_wire::cookies;

fn headers(name: &http::HeaderName, fields: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(field) {
            headers.append(name, value);
        }
    }
    headers
}

/// The names that some server would read: pairs are split at semicolons, and names end at the equals sign.
fn names(headers: &HeaderMap, name: &http::HeaderName) -> Vec<String> {
    let pairs = headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.map(name_of).collect()
}

/// The name of a pair. Some servers also trim white space that isn't ASCII.
fn name_of(pair: &[u8]) -> String {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    String::from_utf8_lossy(name).trim().to_owned()
}

portcullis_fuzz::target!(|fields: &[u8]| {
    let mut sent = headers(&COOKIE, fields);
    let before = names(&sent, &COOKIE)
        .iter()
        .filter(|name| !name.is_empty() && *name != "sid")
        .count();
    cookies::retain_request_cookies(&mut sent, |name| name != "sid");
    assert!(sent.get_all(COOKIE).iter().count() <= 1);
    assert!(!names(&sent, &COOKIE).contains(&"sid".to_owned()));
    let after = names(&sent, &COOKIE).iter().filter(|name| !name.is_empty()).count();
    assert_eq!(before, after, "no other cookie is removed");

    let mut set = headers(&SET_COOKIE, fields);
    cookies::retain_response_cookies(&mut set, |name| name != "sid");
    for value in set.get_all(SET_COOKIE) {
        let first = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        assert_ne!(name_of(first), "sid");
    }
});
