//! Text from untrusted sources. It is borrowed while JSON is parsed, and quoted safely in log lines.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;
use serde::Serialize;

/// A JSON string, borrowed from the JSON unless it has escapes. (`Option<Cow<str>>` would always copy.)
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    pub(crate) fn new(text: impl Into<Cow<'a, str>>) -> Self {
        Self(text.into())
    }

    pub(crate) fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Quotes a text that a client sent for a log line: in quotes, escaped and cut to 64 characters.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_escaped_and_short() {
        let cases = [
            ("key-1", "\"key-1\""),
            ("a\r\nb\u{1b}[31m", r#""a\r\nb\u{1b}[31m""#),
            ("'; DROP", "\"'; DROP\""),
        ];
        for (text, expected) in cases {
            assert_eq!(quoted(text), expected);
        }
        assert_eq!(quoted(&"ä".repeat(10_000)), format!("\"{}\"…", "ä".repeat(64)));
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let plain: Option<Text<'_>> = serde_json::from_str(r#""abc""#).unwrap();
        let escaped: Option<Text<'_>> = serde_json::from_str(r#""a\/c""#).unwrap();
        assert!(matches!(plain, Some(Text(Cow::Borrowed("abc")))));
        assert_eq!(&*escaped.unwrap(), "a/c");
    }
}
