//! Reads JSON values whose type nobody promised. A value of another type is no error, and nothing of it is kept: an answer of
//! the hub may have millions of items.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// A text or a boolean, or something else.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) enum Leaf {
    /// A boolean.
    Bool(bool),
    /// Something else.
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
        deserializer.deserialize_any(LeafVisitor)
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Texts<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor::<MOST>)
    }
}

/// What both visitors say of values of other types.
macro_rules! others {
    ($other:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($other)
        }
    };
}

struct LeafVisitor;

impl<'de> Visitor<'de> for LeafVisitor {
    type Value = Leaf;

    others!(Leaf::Other);

    fn visit_bool<E>(self, value: bool) -> Result<Leaf, E> {
        Ok(Leaf::Bool(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Leaf, E> {
        Ok(Leaf::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Leaf, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leaf::Other)
    }
}

struct TextsVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for TextsVisitor<MOST> {
    type Value = Texts<MOST>;

    others!(Texts::default());

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Texts::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Texts::default())
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
        ] {
            assert_eq!(serde_json::from_str::<Leaf>(json).unwrap(), expected, "{json}");
        }
        assert!(serde_json::from_str::<Leaf>(r#"{"a""#).is_err());
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
