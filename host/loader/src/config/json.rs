//! JSON as a document, for programs whose configuration is no file: it is read as TOML is.

use serde_json::Value;
use toml_span::Span;
use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::document::Document;
use crate::config::reader::Item;
use crate::config::reader::Place;

impl<'a> Item<'a> {
    /// The value of a key in JSON, to be read as TOML is. What TOML doesn't have, `null` and larger numbers, is a mistake, which
    /// is reported.
    pub fn of_json(document: &'a Document<'a>, key: &str, json: &Value) -> Option<Self> {
        Self::at(Place::of(document).key(key, Span::default()), json)
    }

    /// Like [`Item::of_json`], for the whole document.
    pub fn of_whole_json(document: &'a Document<'a>, json: &Value) -> Option<Self> {
        Self::at(Place::of(document), json)
    }

    fn at(place: Place<'a>, json: &Value) -> Option<Self> {
        toml_value(&place, json).map(|value| Self { place, value })
    }
}

/// Reading continues after a mistake, so that all mistakes are reported.
fn toml_value(place: &Place<'_>, json: &Value) -> Option<ValueInner<'static>> {
    Some(match json {
        Value::Null => {
            place.report("is null, which is no value here: leave it out");
            return None;
        }
        Value::Bool(value) => ValueInner::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => ValueInner::Integer(integer),
            (None, Some(float)) if number.is_f64() => ValueInner::Float(float),
            _ => {
                place.report(format!("must be at most {}", i64::MAX));
                return None;
            }
        },
        Value::String(text) => ValueInner::String(text.clone().into()),
        Value::Array(items) => {
            let item =
                |(index, json)| toml_value(&place.index(index, Span::default()), json).map(toml_span::Value::new);
            let items = Vec::from_iter(items.iter().enumerate().map(item));
            ValueInner::Array(items.into_iter().collect::<Option<_>>()?)
        }
        Value::Object(entries) => {
            let entry = |(name, json): (&String, _)| {
                let key = value::Key {
                    name: name.clone().into(),
                    span: Span::default(),
                };
                let value = toml_value(&place.key(name, Span::default()), json)?;
                Some((key, toml_span::Value::new(value)))
            };
            let entries = Vec::from_iter(entries.iter().map(entry));
            ValueInner::Table(entries.into_iter().collect::<Option<_>>()?)
        }
    })
}
