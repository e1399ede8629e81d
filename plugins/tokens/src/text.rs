//! Text from untrusted sources. It is borrowed while JSON is parsed, and quoted safely in log lines.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// A JSON string, borrowed from the JSON unless it has escapes. (`Option<Cow<str>>` would always copy.)
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    /// Borrows a text, or takes it.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        Self(text.into())
    }

    /// The same text, borrowed from nothing.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Quotes a text that a client sent for a log line: in quotes, escaped and shortened.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Quotes several texts, at most five of them.
pub fn all_quoted<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut texts = texts.into_iter();
    let mut shown = texts.by_ref().take(5).map(quoted).collect::<Vec<_>>();
    let more = texts.count();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

/// Quotes a text, or `one of` several.
pub fn one_of<'t>(texts: impl Iterator<Item = &'t str> + Clone) -> String {
    let several = if texts.clone().count() > 1 { "one of " } else { "" };
    format!("{several}{}", all_quoted(texts))
}

/// The value of a claim for a log line: as JSON, whose strings are escaped, and shortened.
pub fn shown(value: &Value) -> String {
    let json = value.to_string();
    match json.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", json.get(..end).unwrap_or_default()),
        None => json,
    }
}

/// The longest text that is quoted, in characters. Two issuers may differ by a slash at the end.
const MAX_QUOTED: usize = 150;

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
        assert_eq!(quoted(&"ä".repeat(10_000)), format!("\"{}\"…", "ä".repeat(150)));
        assert_eq!(shown(&Value::from("a\r\n")), r#""a\r\n""#);
        assert_eq!(
            shown(&Value::from("ä".repeat(10_000))),
            format!("\"{}…", "ä".repeat(149))
        );
        assert_eq!(all_quoted(["a", "b"]), r#""a", "b""#);
        assert_eq!(one_of(["a"].into_iter()), r#""a""#);
        assert_eq!(one_of(["a", "b"].into_iter()), r#"one of "a", "b""#);
        assert_eq!(all_quoted(["a"; 7]), r#""a", "a", "a", "a", "a", 2 more"#);
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let plain: Option<Text<'_>> = serde_json::from_str(r#""abc""#).unwrap();
        let escaped: Option<Text<'_>> = serde_json::from_str(r#""a\/c""#).unwrap();
        assert!(matches!(plain, Some(Text(Cow::Borrowed("abc")))));
        assert_eq!(&*escaped.unwrap(), "a/c");
    }
}
