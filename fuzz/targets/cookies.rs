//! The removal of cookies. A removed cookie must not pass in any spelling of the header.
#![no_main]
#![allow(dead_code, reason = "the modules are the gateway's own, and not all of them is used here")]

#[path = "../../host/gateway/src/serve/headers/cookies.rs"]
mod cookies;

use http::HeaderMap;
use http::HeaderValue;
use http::header::COOKIE;
use http::header::SET_COOKIE;
use libfuzzer_sys::fuzz_target;

fn headers(name: &http::HeaderName, fields: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(field) {
            headers.append(name, value);
        }
    }
    headers
}

/// The cookie names that a server might read: pairs are split at semicolons, and a name ends at the equals sign.
fn names<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Vec<&'a [u8]> {
    let pairs = headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.map(|pair| pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()).collect()
}

fuzz_target!(|fields: &[u8]| {
    let mut sent = headers(&COOKIE, fields);
    let before = names(&sent, &COOKIE).iter().filter(|name| !name.is_empty() && **name != b"sid").count();
    cookies::keep_sent(&mut sent, |name| name != b"sid");
    assert!(sent.get_all(COOKIE).iter().count() <= 1);
    assert!(!names(&sent, &COOKIE).contains(&&b"sid"[..]));
    let after = names(&sent, &COOKIE).iter().filter(|name| !name.is_empty()).count();
    assert_eq!(before, after, "no other cookie is removed");

    let mut set = headers(&SET_COOKIE, fields);
    cookies::keep_set(&mut set, |name| name != b"sid");
    for value in set.get_all(SET_COOKIE) {
        let first = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        assert_ne!(first.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii(), b"sid");
    }
});
