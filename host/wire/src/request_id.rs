//! The id of a request, by which its lines in the logs of all programs on its way are found.

use std::fmt;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

/// The header that carries the id, in requests and in responses.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request: letters, digits and some punctuation, at most 128 of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id in the headers of a trusted proxy, or else a new one. An id of any other client isn't taken: it could be that
    /// of another request.
    pub fn of(headers: &HeaderMap, is_trusted: bool) -> Self {
        let mut given = headers.get_all(X_REQUEST_ID).iter().filter(|_| is_trusted);
        match (given.next(), given.next()) {
            (Some(id), None) if is_id(id.as_bytes()) => Self(id.clone()),
            _ => Self::random(),
        }
    }

    /// Writes the id into the headers of a request or a response.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.0.clone());
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn random() -> Self {
        let mut digits = [0; 32];
        // The digits always fit, and they are always a valid value.
        let _ = hex::encode_to_slice(fastrand::u128(..).to_ne_bytes(), &mut digits);
        Self(HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("")))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn is_id(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=~@".contains(byte);
    (1..=MAX_LENGTH).contains(&text.len()) && text.iter().all(allowed)
}

const MAX_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(ids: &[&str]) -> HeaderMap {
        let ids = ids
            .iter()
            .map(|id| (X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, id) in ids {
            headers.append(name, id);
        }
        headers
    }

    #[test]
    fn only_a_trusted_peers_id_is_taken() {
        let long = "x".repeat(129);
        for (ids, is_trusted, is_taken) in [
            (&["7b2f-1"][..], true, true),
            (&["1-67891233-abcdef012345678912345678"], true, true),
            (&["7b2f-1"], false, false),
            (&["7b2f-1", "7b2f-2"], true, false),
            (&["a b"], true, false),
            (&["a\"b"], true, false),
            (&["é"], true, false),
            (&[""], true, false),
            (&[&long], true, false),
            (&[], true, false),
        ] {
            let id = RequestId::of(&headers(ids), is_trusted);
            assert_eq!(ids.contains(&id.as_str()), is_taken, "{ids:?}");
            if !is_taken {
                assert!(id.as_str().len() == 32 && id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
        let mut written = headers(&["1", "2"]);
        let id = RequestId::of(&written, true);
        id.write(&mut written);
        assert_eq!(Vec::from_iter(written.get_all(X_REQUEST_ID)), [&id.to_string()]);
        let none = HeaderMap::new();
        assert_ne!(RequestId::of(&none, true), RequestId::of(&none, true));
    }
}
