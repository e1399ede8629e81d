//! `websocket_token` of a route: how a subprotocol of a WebSocket starts that carries a token.

use portcullis_loader::config::reader::Item;

/// The start of a subprotocol that carries a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TokenPrefix(String);

impl TokenPrefix {
    /// Reads a prefix of the characters of a subprotocol (RFC 6455, section 4.1; RFC 9110, section 5.6.2).
    pub(super) fn read(item: Item<'_>) -> Option<Self> {
        item.parse(
            "the start of a subprotocol, such as \"base64url.bearer.authorization.k8s.io.\"",
            Self::parse,
        )
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        (!text.is_empty() && text.len() <= 128 && text.bytes().all(is_allowed)).then(|| Self(text.to_owned()))
    }

    /// The prefix itself.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether the token is encoded (RFC 4648), as a word of the prefix says: `base64url.bearer.authorization.k8s.io.` of
    /// Kubernetes, or `org.openhab.ws.accessToken.base64.` of openHAB.
    pub(crate) fn is_encoded(&self) -> bool {
        self.0.split('.').any(|word| matches!(word, "base64" | "base64url"))
    }
}
