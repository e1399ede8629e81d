//! Removes the client's credentials before a request is forwarded. They are meant for the gateway, unless the route
//! says that the upstream gets them, too (`forward_authorization`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header;
use percent_encoding::percent_decode_str;
use portcullis_wire::cookies;

use crate::generation::Credentials;

/// Removes the headers and cookies that carry credentials.
pub(crate) fn remove(headers: &mut HeaderMap, credentials: &Credentials) {
    headers.remove(header::PROXY_AUTHORIZATION);
    for name in &credentials.headers {
        headers.remove(name);
    }
    if !credentials.cookies.is_empty() {
        cookies::retain_request_cookies(headers, |name| credentials.cookies.iter().all(|cookie| cookie != name));
    }
}

/// The query without the parameters that carry credentials, and otherwise as received. `None` if nothing is left.
pub(crate) fn without_parameters(query: Option<&str>, credentials: &Credentials) -> Option<String> {
    let query = query?;
    if credentials.query.is_empty() {
        return Some(query.to_owned());
    }
    let is_credential = |pair: &&str| credentials.query.contains(&parameter_name(pair));
    let kept = query
        .split('&')
        .filter(|pair| !is_credential(pair))
        .collect::<Vec<_>>()
        .join("&");
    (!kept.is_empty()).then_some(kept)
}

/// The name in `name=value`, decoded like a form: a plus sign is a space.
fn parameter_name(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or(pair).replace('+', " ");
    percent_decode_str(&name).decode_utf8_lossy().into_owned()
}

/// The user whom Basic credentials name (RFC 7617, section 2), whether or not the password is right. `None` for any other
/// scheme, because what an unverified token says isn't logged, and for what may be a token instead of a name: some clients
/// send one without a password.
pub(crate) fn claimed_user(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(credentials.trim()).ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let is_name = (1..=MAX_CLAIMED).contains(&name.len()) && !password.is_empty();
    is_name.then(|| name.to_owned())
}

/// The longest name that is logged, in bytes.
const MAX_CLAIMED: usize = 64;

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            headers: vec![header::AUTHORIZATION, HeaderName::from_static("x-api-key")],
            cookies: vec!["token".into()],
            query: vec!["token".into(), "my key".into()],
        }
    }

    #[test]
    fn headers_and_cookies_with_credentials_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("authorization", "Bearer y"),
            ("proxy-authorization", "Basic eDp5"),
            ("x-api-key", "k"),
            ("cookie", "a=1; token=2"),
            ("accept", "*/*"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        remove(&mut headers, &credentials());
        let mut left = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect::<Vec<_>>();
        left.sort_unstable();
        assert_eq!(left, [("accept", "*/*"), ("cookie", "a=1")]);
    }

    #[test]
    fn parameters_with_credentials_are_removed_and_others_are_kept_as_received() {
        for (query, left) in [
            (None, None),
            (Some(""), None),
            (Some("a=%41&b"), Some("a=%41&b")),
            (Some("token=x"), None),
            (Some("a=1&token=x&b=2&token=y&token"), Some("a=1&b=2")),
            (Some("%74oken=x&my+key=1&my%20key=2&a=token"), Some("a=token")),
            (Some("xtoken=1&tokenx=2&TOKEN=3"), Some("xtoken=1&tokenx=2&TOKEN=3")),
        ] {
            assert_eq!(without_parameters(query, &credentials()).as_deref(), left, "{query:?}");
        }
        assert_eq!(
            without_parameters(Some("token=x"), &Credentials::default()).as_deref(),
            Some("token=x")
        );
        assert_eq!(
            without_parameters(Some(""), &Credentials::default()).as_deref(),
            Some("")
        );
    }

    #[test]
    fn only_a_name_with_a_password_is_claimed() {
        let long = format!("{}:x", "a".repeat(65));
        for (credentials, expected) in [
            ("alice:secret", Some("alice")),
            ("alice:", None),
            ("sk_live_token:", None),
            ("alice", None),
            (":secret", None),
            (&long, None),
        ] {
            let value = format!("Basic {}", STANDARD.encode(credentials));
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(claimed_user(&headers).as_deref(), expected, "{credentials}");
        }
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer YWxpY2U6eA==".parse().unwrap())]);
        assert_eq!(claimed_user(&bearer), None);
    }
}
