//! HTTP authentication that outlasts its request. NTLM and Negotiate can authenticate a whole connection, so that later
//! requests on it are those of the same user without credentials of their own (RFC 4559, section 6).

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

/// Whether a request can authenticate its connection.
pub fn may_follow_from_request(headers: &HeaderMap) -> bool {
    let credentials = headers.get_all(header::AUTHORIZATION).iter();
    credentials.map(HeaderValue::as_bytes).any(names_scheme)
}

/// Whether a response shows that its connection is or can be authenticated: it has a challenge or a token of such a
/// scheme, or the field with which IIS announces it.
pub fn may_follow_from_response(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let mut challenges = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    headers.contains_key(PERSISTENT_AUTH) || challenges.any(names_scheme)
}

const PERSISTENT_AUTH: HeaderName = HeaderName::from_static("persistent-auth");

/// Whether credentials or a challenge have a scheme that authenticates connections.
fn names_scheme(text: &[u8]) -> bool {
    let scheme = text.trim_ascii().split(u8::is_ascii_whitespace).next();
    scheme.is_some_and(|scheme| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

const SCHEMES: [&[u8]; 3] = [b"kerberos", b"negotiate", b"ntlm"];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_schemes_of_connections_are_found_in_a_request() {
        for (values, expected) in [
            (&["NTLM TlRMTVNTUAAB"][..], true),
            (&["negotiate YII="], true),
            (&["  Negotiate\tYII="], true),
            (&["Kerberos YII="], true),
            (&["Basic YTpi", "NTLM TlRMTVNTUAAB"], true),
            (&["NTLM"], true),
            (&["NTLMv9 x"], false),
            (&["Basic NTLM"], false),
            (&["Bearer Negotiate"], false),
            (&[""], false),
            (&[], false),
        ] {
            let fields = Vec::from_iter(values.iter().map(|value| ("authorization", *value)));
            assert_eq!(may_follow_from_request(&headers(&fields)), expected, "{values:?}");
        }
        assert!(!may_follow_from_request(&headers(&[("x-authorization", "NTLM x")])));
    }

    #[test]
    fn challenges_and_announcements_are_found_in_a_response() {
        for (fields, expected) in [
            (&[("www-authenticate", "NTLM")][..], true),
            (&[("www-authenticate", "ntlm TlRMTVNTUAAC")], true),
            (&[("www-authenticate", "Basic realm=\"a, b\", Negotiate")], true),
            (
                &[("www-authenticate", "Basic"), ("www-authenticate", "NEGOTIATE")],
                true,
            ),
            (&[("persistent-auth", "true")], true),
            (&[("persistent-auth", "")], true),
            (&[("www-authenticate", "Basic realm=\"NTLM\"")], false),
            (&[("www-authenticate", "Bearer")], false),
            (&[("proxy-authenticate", "NTLM")], false),
            (&[], false),
        ] {
            assert_eq!(may_follow_from_response(&headers(fields)), expected, "{fields:?}");
        }
    }
}
