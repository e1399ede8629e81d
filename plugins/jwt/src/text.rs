//! Text that came from somewhere else: how it is kept while JSON is read, and how much of it a log line may show.

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

/// The form in which a log line may quote what a client sent: in quotes, escaped, and no longer than 64 characters.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        let cases = [
            ("key-1", "\"key-1\""),
            ("a\r\nb\u{1b}[31m", r#""a\r\nb\u{1b}[31m""#),
            ("'; DROP", "\"'; DROP\""),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown(&"ä".repeat(10_000)), format!("\"{}\"…", "ä".repeat(64)));
    }

    #[test]
    fn text_is_borrowed_where_it_can_be() {
        let plain: Option<Text<'_>> = serde_json::from_str(r#""abc""#).unwrap();
        let escaped: Option<Text<'_>> = serde_json::from_str(r#""a\/c""#).unwrap();
        assert!(matches!(plain, Some(Text(Cow::Borrowed("abc")))));
        assert_eq!(&*escaped.unwrap(), "a/c");
    }
}
