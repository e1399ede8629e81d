//! The types of JSON Schema, with their names in schemas and in messages for operators.

use serde_json::Value;

use super::number::is_whole;

/// A type. Messages list types in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Type {
    Array,
    Boolean,
    Integer,
    Null,
    Number,
    Object,
    String,
}

impl Type {
    /// The type of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let kind = match name {
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "null" => Self::Null,
            "number" => Self::Number,
            "object" => Self::Object,
            "string" => Self::String,
            _ => return None,
        };
        Some(kind)
    }

    /// Whether a value is of this type. `1.0` is an integer.
    fn has(self, value: &Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.as_number().is_some_and(is_whole),
            Self::Null => value.is_null(),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::String => value.is_string(),
        }
    }

    /// The name in messages. `None` for null, which a configuration can't have.
    pub(crate) fn in_words(self) -> Option<&'static str> {
        match self {
            Self::Array => Some("a list"),
            Self::Boolean => Some("true or false"),
            Self::Integer => Some("a whole number"),
            Self::Null => None,
            Self::Number => Some("a number"),
            Self::Object => Some("a table"),
            Self::String => Some("text"),
        }
    }
}

/// The types that a value may have, each once and in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Types(Vec<Type>);

impl Types {
    /// Parses the value of `type`: a name, or a list of different names.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let mut types = match value {
            Value::String(name) => vec![Type::named(name)?],
            Value::Array(names) if !names.is_empty() && names.len() <= MAX_TYPES => names
                .iter()
                .map(|name| name.as_str().and_then(Type::named))
                .collect::<Option<Vec<_>>>()?,
            _ => return None,
        };
        let written = types.len();
        types.sort_unstable();
        types.dedup();
        (types.len() == written).then_some(Self(types))
    }

    pub(super) fn have(&self, value: &Value) -> bool {
        self.0.iter().any(|kind| kind.has(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Type> {
        self.0.iter().copied()
    }
}

const MAX_TYPES: usize = 7;
