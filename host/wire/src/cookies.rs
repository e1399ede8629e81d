//! Reads the cookies of requests, and removes cookies from requests and responses. The gateway's session cookie never reaches
//! an upstream, and no upstream can set it.

use cookie::Cookie;
use cookie::ParseError;
use http::HeaderMap;
use http::HeaderValue;
use http::header;

/// The cookies of a request in order of arrival (RFC 6265, section 5.4): names and values without the space around them. A pair
/// without an equals sign is a name, and its value is `None`.
///
/// Both may be any bytes. The crate `cookie` reads text only, and each request would pay for making text of all its cookies.
pub fn request_cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    pairs(headers).map(
        |pair| match memchr::memchr(b'=', pair).and_then(|middle| pair.split_at_checked(middle)) {
            Some((name, value)) => (name.trim_ascii(), Some(value.get(1..).unwrap_or_default().trim_ascii())),
            None => (pair, None),
        },
    )
}

/// All values of the cookie of this name, byte for byte, in order of arrival.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    request_cookies(headers).filter_map(move |(own, value)| value.filter(|_| own == name.as_bytes()))
}

/// What stands between the semicolons of the `Cookie` fields, without the space around it.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let fields = headers.get_all(header::COOKIE).iter();
    let pairs = fields.flat_map(|field| {
        let mut rest = Some(field.as_bytes());
        std::iter::from_fn(move || {
            let field = rest?;
            let end = memchr::memchr(b';', field);
            rest = end.and_then(|end| field.get(end + 1..));
            field.get(..end.unwrap_or(field.len()))
        })
    });
    pairs.map(<[u8]>::trim_ascii)
}

/// Keeps the cookies of a request whose names match the predicate, byte for byte, and joins them in one `Cookie` field:
/// HTTP/2 allows several, HTTP/1.1 doesn't (RFC 9113, section 8.2.3).
pub fn retain_request_cookies(headers: &mut HeaderMap, keep: impl Fn(&str) -> bool) {
    let kept = pairs(headers)
        .zip(request_cookies(headers))
        .filter(|(pair, (name, _))| !pair.is_empty() && keep(&String::from_utf8_lossy(name)))
        .map(|(pair, _)| pair)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    headers.remove(header::COOKIE);
    if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_bytes(&kept)) {
        headers.insert(header::COOKIE, value);
    }
}

/// Keeps the `Set-Cookie` fields of a response whose cookie names match the predicate, byte for byte.
pub fn retain_response_cookies(headers: &mut HeaderMap, keep: impl Fn(&str) -> bool) {
    let header::Entry::Occupied(entry) = headers.entry(header::SET_COOKIE) else {
        return;
    };
    let (name_of_header, fields) = entry.remove_entry_mult();
    let kept = fields.filter(|field| keep(&name(field.as_bytes()))).collect::<Vec<_>>();
    for field in kept {
        headers.append(name_of_header.clone(), field);
    }
}

/// Changes the `Path` of the cookies that a response sets. `map` returns `None` for a path that stays. A cookie whose name
/// begins with `__Host-` stays as it is, because its path must be `/` (RFC 6265bis, section 4.1.3.2).
pub fn map_paths(headers: &mut HeaderMap, map: impl Fn(&str) -> Option<String>) {
    let header::Entry::Occupied(entry) = headers.entry(header::SET_COOKIE) else {
        return;
    };
    let (name_of_header, fields) = entry.remove_entry_mult();
    let mapped = fields
        .map(|field| with_path(&field, &map).unwrap_or(field))
        .collect::<Vec<_>>();
    for field in mapped {
        headers.append(name_of_header.clone(), field);
    }
}

/// A `Set-Cookie` field with another path. `None` if it stays the same.
fn with_path(field: &HeaderValue, map: impl Fn(&str) -> Option<String>) -> Option<HeaderValue> {
    if name(field.as_bytes()).starts_with("__Host-") {
        return None;
    }
    let text = field.to_str().ok()?;
    let attributes = text.split(';').enumerate().map(|(index, attribute)| {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let is_path = index > 0 && key.trim().eq_ignore_ascii_case("path");
        match map(value.trim()).filter(|_| is_path) {
            Some(path) => format!("{key}={path}"),
            None => attribute.to_owned(),
        }
    });
    let changed = attributes.collect::<Vec<_>>().join(";");
    (changed != text).then(|| HeaderValue::try_from(changed).ok())?
}

/// The name of the cookie that a `Set-Cookie` field sets. Bytes that aren't UTF-8 are replaced.
fn name(cookie: &[u8]) -> String {
    let text = String::from_utf8_lossy(cookie);
    match Cookie::parse(&*text) {
        Ok(cookie) => cookie.name().to_owned(),
        Err(ParseError::EmptyName) => String::new(),
        // A browser sends it back as a pair without an equals sign, which some servers read as a name with an empty value.
        Err(_) => text.split(';').next().unwrap_or_default().trim().to_owned(),
    }
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
    fn the_cookies_of_a_request_are_read_whatever_their_bytes() {
        for (sent, expected) in [
            (&[][..], &[][..]),
            (&[&b"a=1"[..]], &[(&b"a"[..], Some(&b"1"[..]))]),
            (
                &[b"b=2; a = 1 ;a=b=c", b"a=\xff"],
                &[
                    (b"b", Some(b"2")),
                    (b"a", Some(b"1")),
                    (b"a", Some(b"b=c")),
                    (b"a", Some(b"\xff")),
                ],
            ),
            (
                &[b"a=; a; =a; \xff=1"],
                &[
                    (b"a", Some(b"")),
                    (b"a", None),
                    (b"", Some(b"a")),
                    (b"\xff", Some(b"1")),
                ],
            ),
            (&[b"a=\"x; y\""], &[(b"a", Some(b"\"x")), (b"y\"", None)]),
        ] {
            let mut headers = HeaderMap::new();
            for field in sent {
                headers.append(header::COOKIE, HeaderValue::from_bytes(field).unwrap());
            }
            assert_eq!(Vec::from_iter(request_cookies(&headers)), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_removed_cookie_never_reaches_the_upstream() {
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
            retain_request_cookies(&mut headers, |name| name != "sid");
            assert_eq!(values(&headers, "cookie"), kept, "{sent:?}");
        }
    }

    #[test]
    fn an_upstream_cant_set_a_removed_cookie() {
        let mut headers = fields(
            "set-cookie",
            &["a=1; Path=/", "sid=2; Path=/", " sid = 3", "b=sid", "sid"],
        );
        retain_response_cookies(&mut headers, |name| name != "sid");
        assert_eq!(values(&headers, "set-cookie"), ["a=1; Path=/", "b=sid"]);
    }

    #[test]
    fn the_paths_of_cookies_are_changed_and_nothing_else() {
        for (sent, expected) in [
            ("a=1; Path=/", "a=1; Path=/app/"),
            ("a=/x; path = /x ; Secure", "a=/x; path =/app/x; Secure"),
            ("path=/x", "path=/x"),
            ("a=1", "a=1"),
            ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
        ] {
            let mut headers = fields("set-cookie", &[sent]);
            map_paths(&mut headers, |path| Some(format!("/app{path}")));
            assert_eq!(values(&headers, "set-cookie"), [expected]);
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_kept_as_received() {
        let sent = HeaderValue::from_bytes(b"\xffsid=1; a=\xff; sid=\xff; b\xff").unwrap();
        let mut headers = HeaderMap::from_iter([(header::COOKIE, sent)]);
        retain_request_cookies(&mut headers, |name| name != "sid");
        assert_eq!(headers[header::COOKIE].as_bytes(), b"\xffsid=1; a=\xff; b\xff");

        let set = [&b"sid=\xff; Path=/"[..], b"a\xff=\xff; Path=/\xff"];
        let set = set.map(|field| (header::SET_COOKIE, HeaderValue::from_bytes(field).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, field) in set {
            headers.append(name, field);
        }
        retain_response_cookies(&mut headers, |name| name != "sid");
        let kept = headers.get_all(header::SET_COOKIE).iter().map(HeaderValue::as_bytes);
        assert_eq!(kept.collect::<Vec<_>>(), [b"a\xff=\xff; Path=/\xff"]);
    }
}
