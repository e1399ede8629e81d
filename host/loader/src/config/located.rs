//! The values of a configuration with the places where they stand, to be shown. Secrets may be among them.

use serde_json::Value;
use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::error::Location;
use crate::config::reader::Place;

/// A value and the place where it stands.
#[derive(Clone)]
#[non_exhaustive]
pub struct Located {
    /// Where it stands.
    pub location: Location,
    /// The value.
    pub content: Content,
}

/// What stands in a place.
#[derive(Clone)]
#[allow(clippy::exhaustive_enums, reason = "TOML has no other kinds of values")]
pub enum Content {
    /// A list.
    List(Vec<Located>),
    /// A string, a number or a boolean.
    Scalar(Value),
    /// A table, in the order of the document.
    Table(Vec<(String, Located)>),
}

impl Located {
    pub(super) fn of(entries: &value::Table<'_>, place: &Place<'_>) -> Self {
        let mut entries = Vec::from_iter(entries);
        entries.sort_by_key(|(key, _)| key.span.start);
        let entry = |(key, value): (&value::Key<'_>, &toml_span::Value<'_>)| {
            let place = place.key(&key.name, key.span);
            (key.name.to_string(), Self::at(place, value.as_ref()))
        };
        Self {
            location: place.location().clone(),
            content: Content::Table(entries.into_iter().map(entry).collect()),
        }
    }

    fn at(place: Place<'_>, value: &ValueInner<'_>) -> Self {
        let content = match value {
            ValueInner::Table(entries) => return Self::of(entries, &place),
            ValueInner::Array(items) => {
                let item = |(index, item): (usize, &toml_span::Value<'_>)| {
                    Self::at(place.index(index, item.span), item.as_ref())
                };
                Content::List(items.iter().enumerate().map(item).collect())
            }
            ValueInner::String(text) => Content::Scalar(text.as_ref().into()),
            ValueInner::Integer(number) => Content::Scalar((*number).into()),
            ValueInner::Float(number) => Content::Scalar((*number).into()),
            ValueInner::Boolean(value) => Content::Scalar((*value).into()),
        };
        Self {
            location: place.location().clone(),
            content,
        }
    }
}
