//! Reads JSON values whose type nobody promised. A value of another type is no error, and nothing of it is kept: an answer of
//! the hub may have millions of items.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

/// A text or a boolean, or something else.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) enum Leaf {
    /// A boolean.
    Bool(bool),
    /// Something else, such as a text with half a surrogate pair, which no text in UTF-8 can hold.
    #[default]
    Other,
    /// A text.
    Text(String),
}

impl Leaf {
    /// The text. `None` if it is something else.
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(_) | Self::Other => None,
        }
    }
}

/// The first texts of a list, up to `MOST`. Anything but a list is an empty one.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Texts<const MOST: usize> {
    /// The texts.
    pub(crate) kept: Vec<String>,
    /// How many texts the list has.
    pub(crate) count: usize,
    /// How many other items it has.
    pub(crate) others: usize,
}

impl<'de> Deserialize<'de> for Leaf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match json {
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            text if text.starts_with('"') => serde_json::from_str(text).map_or(Self::Other, Self::Text),
            _ => Self::Other,
        })
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Texts<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        if !json.starts_with('[') {
            return Ok(Self::default());
        }
        let mut list = serde_json::Deserializer::from_str(json);
        list.deserialize_seq(TextsVisitor::<MOST>)
            .map_err(serde::de::Error::custom)
    }
}

struct TextsVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for TextsVisitor<MOST> {
    type Value = Texts<MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut texts = Texts::default();
        while let Some(item) = items.next_element::<Leaf>()? {
            match item {
                Leaf::Text(text) => {
                    texts.count += 1;
                    if texts.kept.len() < MOST {
                        texts.kept.push(text);
                    }
                }
                Leaf::Bool(_) | Leaf::Other => texts.others += 1,
            }
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_other_types_are_no_errors() {
        for (json, expected) in [
            (r#""a""#, Leaf::Text("a".to_owned())),
            (r#""\u00e4""#, Leaf::Text("\u{e4}".to_owned())),
            ("true", Leaf::Bool(true)),
            ("false", Leaf::Bool(false)),
            ("null", Leaf::Other),
            ("7", Leaf::Other),
            ("-7", Leaf::Other),
            ("7.5", Leaf::Other),
            (r#"["a", ["b"]]"#, Leaf::Other),
            (r#"{"a": {"b": "c"}}"#, Leaf::Other),
            (r#""\ud83d\ude00""#, Leaf::Text("\u{1f600}".to_owned())),
            (r#""a\ud83d""#, Leaf::Other),
            (r#""\ude00a""#, Leaf::Other),
            (r#"{"\ud83d": 1}"#, Leaf::Other),
        ] {
            assert_eq!(serde_json::from_str::<Leaf>(json).unwrap(), expected, "{json}");
        }
        for json in [r#"{"a""#, r#""a"#, "tru", "<html>", ""] {
            assert!(serde_json::from_str::<Leaf>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_first_texts_of_a_list_are_kept_and_all_are_counted() {
        for (json, kept, count, others) in [
            (r#"["a", "", "b", "c"]"#, &["a", ""][..], 4, 0),
            (r#"[1, null, {"a": 1}, ["b"], true, "c"]"#, &["c"], 1, 5),
            ("[]", &[], 0, 0),
            ("null", &[], 0, 0),
            (r#""a""#, &[], 0, 0),
            ("true", &[], 0, 0),
            ("7", &[], 0, 0),
            ("-7", &[], 0, 0),
            ("7.5", &[], 0, 0),
            (r#"{"a": 1}"#, &[], 0, 0),
            (r#"["a", "\ud83d", {"\ud83d": 1}]"#, &["a"], 1, 2),
            (r#"{"\ud83d": 1}"#, &[], 0, 0),
        ] {
            let texts: Texts<2> = serde_json::from_str(json).unwrap();
            assert_eq!(
                (&*texts.kept, texts.count, texts.others),
                (
                    &kept.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                    count,
                    others
                ),
                "{json}"
            );
        }
    }
}
