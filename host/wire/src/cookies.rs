//! Cookies that pass, and cookies that don't. The gateway's own session cookie never reaches an upstream, and no
//! upstream can set it.

use http::HeaderMap;
use http::HeaderValue;
use http::header;

/// Keeps the client's cookies whose name is keep, in one `Cookie` field: HTTP/2 may send several, HTTP/1.1 may not
/// (RFC 9113, section 8.2.3).
pub fn retain_request_cookies(headers: &mut HeaderMap, keep: impl Fn(&[u8]) -> bool) {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty() && keep(name(pair)))
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    headers.remove(header::COOKIE);
    if let (false, Ok(value)) = (pairs.is_empty(), HeaderValue::from_bytes(&pairs)) {
        headers.insert(header::COOKIE, value);
    }
}

/// Keeps the cookies that an upstream sets and whose name is keep.
pub fn retain_response_cookies(headers: &mut HeaderMap, keep: impl Fn(&[u8]) -> bool) {
    let header::Entry::Occupied(entry) = headers.entry(header::SET_COOKIE) else {
        return;
    };
    let (name_of_header, fields) = entry.remove_entry_mult();
    let kept = fields.filter(|field| keep(name(field.as_bytes()))).collect::<Vec<_>>();
    for field in kept {
        headers.append(name_of_header.clone(), field);
    }
}

/// The name in `name=value; …`. A cookie without an equals sign is compared as if it were all name.
fn name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| matches!(byte, b'=' | b';'))
        .next()
        .unwrap_or(pair)
        .trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn a_cookie_that_is_not_chosen_doesnt_reach_the_upstream() {
        for (sent, kept) in [
            (&["sid=1"][..], &[][..]),
            (&["a=1; sid=2; b=3"], &["a=1; b=3"]),
            (&["sid=1;sid=2;  sid =3 ; sid"], &[]),
            (&["a=1", "sid=2", "b=3"], &["a=1; b=3"]),
            (&["sid2=1; xsid=2; SID=3"], &["sid2=1; xsid=2; SID=3"]),
            (&["a=\"x;sid=1\""], &["a=\"x"]),
            (&["a=sid=1; =sid; ;"], &["a=sid=1; =sid"]),
            (&["a=ü"], &["a=ü"]),
        ] {
            let mut headers = fields("cookie", sent);
            retain_request_cookies(&mut headers, |name| name != b"sid");
            assert_eq!(values(&headers, "cookie"), kept, "{sent:?}");
        }
    }

    #[test]
    fn an_upstream_cant_set_a_cookie_that_is_not_chosen() {
        let mut headers = fields(
            "set-cookie",
            &["a=1; Path=/", "sid=2; Path=/", " sid = 3", "b=sid", "sid"],
        );
        retain_response_cookies(&mut headers, |name| name != b"sid");
        assert_eq!(values(&headers, "set-cookie"), ["a=1; Path=/", "b=sid"]);
    }
}
