//! Which pages may open a WebSocket with a user's session. A browser sends the cookie with the handshake of any page, and no rule of
//! the browser keeps that page from reading what comes back (CVE-2024-28179, "cross-site WebSocket hijacking").

use http::HeaderMap;
use http::header;

use crate::config::Cors;

/// The page that opens a WebSocket, if it is none of this host: its origin (RFC 6455, section 4.2.2). Pages that the route's `cors`
/// lists may do so. `None` for other requests, and for programs, which send no `Origin`.
pub(crate) fn foreign_opener(headers: &HeaderMap, authority: Option<&str>, cors: Option<&Cors>) -> Option<String> {
    let upgrades = headers.get_all(header::UPGRADE).iter();
    let mut upgrades = upgrades.filter_map(|upgrade| upgrade.to_str().ok());
    if !upgrades.any(|upgrade| upgrade.to_ascii_lowercase().contains("websocket")) {
        return None;
    }
    let origin = headers.get(header::ORIGIN)?;
    let listed = cors.and_then(|cors| cors.origins.as_ref().filter(|_| cors.credentials));
    let text = String::from_utf8_lossy(origin.as_bytes());
    let is_listed = listed.is_some_and(|origins| origins.contains(origin));
    let is_own = host(&text).zip(authority).is_some_and(|(host, own)| is_same(host, own));
    (!is_listed && !is_own).then(|| text.chars().take(MAX_SHOWN).collect())
}

/// The host and port of an origin.
fn host(origin: &str) -> Option<&str> {
    ["https://", "http://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme))
}

/// Whether both are the same host and port. A port that is a scheme's own may be left out.
fn is_same(a: &str, b: &str) -> bool {
    let bare = |text: &str| {
        let text = text.to_ascii_lowercase();
        let bare = text.strip_suffix(":443").or_else(|| text.strip_suffix(":80"));
        bare.map_or_else(|| text.clone(), str::to_owned)
    };
    bare(a) == bare(b)
}

/// How much of an origin is told in the log, in characters.
const MAX_SHOWN: usize = 255;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_page_of_another_origin_opens_no_websocket_with_a_session() {
        let cors = Cors {
            origins: Some(vec![HeaderValue::from_static("https://app.example")]),
            credentials: true,
        };
        let without_credentials = Cors {
            credentials: false,
            ..cors.clone()
        };
        let websocket = Some("WebSocket");
        for (upgrade, origin, cors, is_foreign) in [
            (websocket, Some("https://gw.example"), None, false),
            (websocket, Some("https://gw.example:443"), None, false),
            (websocket, Some("https://GW.example"), None, false),
            (websocket, Some("http://gw.example"), None, false),
            (websocket, None, None, false),
            (None, Some("https://evil.example"), None, false),
            (Some("h2c"), Some("https://evil.example"), None, false),
            (websocket, Some("https://evil.example"), None, true),
            (websocket, Some("https://gw.example.evil.example"), None, true),
            (websocket, Some("https://evil.example/gw.example"), None, true),
            (websocket, Some("https://gw.example:8443"), None, true),
            (websocket, Some("null"), None, true),
            (websocket, Some(""), None, true),
            (websocket, Some("https://app.example"), Some(&cors), false),
            (websocket, Some("https://app.example"), Some(&without_credentials), true),
            (websocket, Some("https://evil.example"), Some(&cors), true),
        ] {
            let fields = [(header::UPGRADE, upgrade), (header::ORIGIN, origin)];
            let fields = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, HeaderValue::from_static(value?))));
            let found = foreign_opener(&fields.collect(), Some("gw.example"), cors);
            assert_eq!(found.is_some(), is_foreign, "{upgrade:?} {origin:?} {cors:?}");
        }
    }
}
