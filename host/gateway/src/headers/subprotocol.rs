//! Tokens among the subprotocols of a WebSocket. A browser can't set `Authorization` there, so that clients such as those of
//! Kubernetes offer a subprotocol that carries the token.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use crate::config::TokenPrefix;

/// A subprotocol that carried the token of a request.
#[derive(Clone)]
pub(crate) struct OfferedToken(HeaderValue);

/// Takes the token out of the offered subprotocols, and makes it the request's `Authorization` unless there is one. The
/// error says what is wrong with it.
pub(crate) fn take(prefix: &TokenPrefix, headers: &mut HeaderMap) -> Result<Option<OfferedToken>, &'static str> {
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = Vec::from_iter(
        fields
            .flat_map(|field| field.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .map(<[u8]>::to_vec),
    );
    let (tokens, others): (Vec<_>, Vec<_>) = offered
        .into_iter()
        .partition(|protocol| protocol.starts_with(prefix.as_bytes()));
    let [token] = tokens.as_slice() else {
        return if tokens.is_empty() {
            Ok(None)
        } else {
            Err("several subprotocols carry a token")
        };
    };
    let carried = token.get(prefix.as_bytes().len()..).unwrap_or_default();
    let bearer = authorization(prefix, carried).ok_or("the subprotocol carries no token")?;
    let shown = HeaderValue::from_bytes(token).map_err(|_| "the subprotocol carries no token")?;
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Ok(others) = HeaderValue::from_bytes(&others.join(&b", "[..]))
        && !others.is_empty()
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
    }
    headers.entry(header::AUTHORIZATION).or_insert(bearer);
    Ok(Some(OfferedToken(shown)))
}

fn authorization(prefix: &TokenPrefix, carried: &[u8]) -> Option<HeaderValue> {
    let token = if prefix.is_encoded() {
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(carried);
        decoded.or_else(|_| BASE64_STANDARD_NO_PAD.decode(carried)).ok()?
    } else {
        carried.to_vec()
    };
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token.as_slice()].concat()).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some(value)
}

impl OfferedToken {
    /// Chooses the subprotocol in a response that chose no other: a browser gives up a connection for which none of those that
    /// it offered was chosen.
    pub(crate) fn answer(&self, status: StatusCode, headers: &mut HeaderMap) {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            headers
                .entry(header::SEC_WEBSOCKET_PROTOCOL)
                .or_insert_with(|| self.0.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(fields: &[&'static str]) -> HeaderMap {
        let field = |value: &&'static str| (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
        HeaderMap::from_iter(fields.iter().map(field))
    }

    /// Row C11 of the field reports, with the forms of Kubernetes and of openHAB.
    #[test]
    fn a_token_is_taken_out_of_the_subprotocols() {
        for (prefix, fields, rest, authorization) in [
            ("token.", &["token.abc"][..], None, "Bearer abc"),
            ("token.", &["v1, token.abc", "v2"], Some("v1, v2"), "Bearer abc"),
            (
                "base64url.x.",
                &["base64url.x.YS5iLmM", "v1"],
                Some("v1"),
                "Bearer a.b.c",
            ),
            ("a.base64.", &["a.base64.YS5iLmM", "v1"], Some("v1"), "Bearer a.b.c"),
            ("a.base64.", &["a.base64.fn5+"], None, "Bearer ~~~"),
            ("base64url.", &["base64url.fn5-"], None, "Bearer ~~~"),
            ("base64x.", &["base64x.YS5iLmM"], None, "Bearer YS5iLmM"),
        ] {
            let mut headers = offering(fields);
            let prefix = TokenPrefix::parse(prefix).unwrap();
            assert!(take(&prefix, &mut headers).unwrap().is_some(), "{fields:?}");
            let left = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
            assert_eq!(left.map(|value| value.to_str().unwrap()), rest);
            assert_eq!(headers[header::AUTHORIZATION], authorization);
        }
    }

    #[test]
    fn other_credentials_come_first() {
        let mut headers = offering(&["token.abc"]);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer own"));
        let prefix = TokenPrefix::parse("token.").unwrap();
        assert!(take(&prefix, &mut headers).unwrap().is_some());
        assert_eq!(headers[header::AUTHORIZATION], "Bearer own");
        assert!(!headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn what_carries_no_single_token_is_refused_or_left_alone() {
        for (prefix, fields, is_error) in [
            ("token.", &["v1"][..], false),
            ("token.", &[], false),
            ("token.", &["token."], true),
            ("token.", &["token.a, token.b"], true),
            ("base64url.x.", &["base64url.x.?"], true),
            ("base64url.x.", &["base64url.x.AA0K"], true),
        ] {
            let mut headers = offering(fields);
            let taken = take(&TokenPrefix::parse(prefix).unwrap(), &mut headers);
            assert_eq!(taken.is_err(), is_error, "{fields:?}");
            assert!(!headers.contains_key(header::AUTHORIZATION), "{fields:?}");
        }
        for prefix in ["", "a b", "a,b", "ä"] {
            assert!(TokenPrefix::parse(prefix).is_none(), "{prefix}");
        }
    }
}
