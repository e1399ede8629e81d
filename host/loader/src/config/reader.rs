//! Reads a TOML document key by key. A mistake is reported with its location, and reading continues, so that all mistakes
//! are found together. A value with a mistake is read as `None`.

use toml_span::Span;
use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::digests::Values;
use crate::config::document::Document;
use crate::config::error;
use crate::config::error::Location;

/// A location in a document, at which mistakes can be reported.
#[derive(Clone)]
pub struct Place<'a> {
    document: &'a Document<'a>,
    location: Location,
}

impl<'a> Place<'a> {
    /// Adds a mistake at this place.
    pub fn report(&self, message: impl Into<String>) {
        self.document.report(self.location.error(message));
    }

    /// The document.
    pub fn document(&self) -> &'a Document<'a> {
        self.document
    }

    /// The location, for errors that are found later.
    pub fn location(&self) -> &Location {
        &self.location
    }

    fn key(&self, key: &str, span: Span) -> Self {
        let line = self.document.line(span);
        Self {
            document: self.document,
            location: self.location.key(key).line(line),
        }
    }

    fn index(&self, index: usize, span: Span) -> Self {
        let line = self.document.line(span);
        Self {
            document: self.document,
            location: self.location.index(index).line(line),
        }
    }
}

/// A value and its place in the document.
#[non_exhaustive]
pub struct Item<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// The value.
    pub value: ValueInner<'a>,
}

impl<'a> Item<'a> {
    /// The value of a key in JSON, to be read as TOML is. What TOML doesn't have, `null` and larger numbers, is a mistake, which
    /// is reported.
    pub fn of_json(document: &'a Document<'a>, key: &str, json: &serde_json::Value) -> Option<Self> {
        Self::at(document.location().key(key), document, json)
    }

    /// Like [`Item::of_json`], for the whole document.
    pub fn of_whole_json(document: &'a Document<'a>, json: &serde_json::Value) -> Option<Self> {
        Self::at(document.location(), document, json)
    }

    fn at(location: Location, document: &'a Document<'a>, json: &serde_json::Value) -> Option<Self> {
        let place = Place { document, location };
        toml_value(&place, json).map(|value| Self { place, value })
    }

    /// Reads a string.
    pub fn text(self) -> Option<String> {
        match self.value {
            ValueInner::String(text) => Some(text.into_owned()),
            other => mismatch(&self.place, "a string", &other),
        }
    }

    /// Reads a string and parses it. `expected` describes the value for the error, such as "an address, such as …".
    pub fn parse<T>(self, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let ValueInner::String(text) = &self.value else {
            return mismatch(&self.place, expected, &self.value);
        };
        let parsed = parse(text);
        if parsed.is_none() {
            self.place.report(format!("{text:?} is not {expected}"));
        }
        parsed
    }

    /// Reads `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        match self.value {
            ValueInner::Boolean(value) => Some(value),
            other => mismatch(&self.place, "true or false", &other),
        }
    }

    /// Reads a whole number from `least` to `most`.
    pub fn number(self, least: usize, most: usize) -> Option<usize> {
        let ValueInner::Integer(number) = self.value else {
            return mismatch(&self.place, "a whole number", &self.value);
        };
        let number = usize::try_from(number)
            .ok()
            .filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.place.report(format!("must be {least} to {most}"));
        }
        number
    }

    /// Reads the items of a list. Returns an empty list if the value isn't a list.
    pub fn list(self) -> Vec<Self> {
        let ValueInner::Array(items) = self.value else {
            return mismatch(&self.place, "a list", &self.value).unwrap_or_default();
        };
        let item = |(index, mut item): (usize, toml_span::Value<'a>)| Self {
            place: self.place.index(index, item.span),
            value: item.take(),
        };
        items.into_iter().enumerate().map(item).collect()
    }

    /// Reads a table.
    pub fn table(self) -> Option<Table<'a>> {
        match self.value {
            ValueInner::Table(entries) => Some(Table {
                place: self.place,
                entries,
                known: Vec::new(),
            }),
            other => mismatch(&self.place, "a table", &other),
        }
    }
}

/// Reading continues after a mistake, so that all mistakes are reported.
fn toml_value(place: &Place<'_>, json: &serde_json::Value) -> Option<ValueInner<'static>> {
    Some(match json {
        serde_json::Value::Null => {
            place.report("is null, which is no value here: leave it out");
            return None;
        }
        serde_json::Value::Bool(value) => ValueInner::Boolean(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => ValueInner::Integer(integer),
            (None, Some(float)) if number.is_f64() => ValueInner::Float(float),
            _ => {
                place.report(format!("must be at most {}", i64::MAX));
                return None;
            }
        },
        serde_json::Value::String(text) => ValueInner::String(text.clone().into()),
        serde_json::Value::Array(items) => {
            let item =
                |(index, json)| toml_value(&place.index(index, Span::default()), json).map(toml_span::Value::new);
            let items = Vec::from_iter(items.iter().enumerate().map(item));
            ValueInner::Array(items.into_iter().collect::<Option<_>>()?)
        }
        serde_json::Value::Object(entries) => {
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

fn mismatch<T>(place: &Place<'_>, expected: &str, found: &ValueInner<'_>) -> Option<T> {
    let found = match found {
        ValueInner::String(_) => "a string",
        ValueInner::Integer(_) => "an integer",
        ValueInner::Float(_) => "a float",
        ValueInner::Boolean(_) => "a boolean",
        ValueInner::Array(_) => "a list",
        ValueInner::Table(_) => "a table",
    };
    place.report(format!("expected {expected}, found {found}"));
    None
}

/// Whether a line has a date or a time (TOML 1.0, "Offset Date-Time"), which the parser doesn't know.
fn has_date(line: &str) -> bool {
    // Neither in quotes nor in a comment.
    let code = line.split('#').next().unwrap_or(line);
    let bare = code.split(['"', '\'']).step_by(2).collect::<Vec<_>>().join(" ");
    let of_form = |form: &[u8]| {
        let fits = |(byte, expected): (&u8, &u8)| match expected {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        let mut places = bare.as_bytes().windows(form.len());
        places.any(|place| place.iter().zip(form).all(fits))
    };
    of_form(b"0000-00-00") || of_form(b"00:00:00")
}

/// A table whose keys are taken one by one. [`Table::finish`] reports the keys that are left.
pub struct Table<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    entries: value::Table<'a>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// Parses a document. Reports a syntax error and returns `None` if it isn't valid TOML.
    pub fn parse(document: &'a Document<'a>, text: &'a str) -> Option<Self> {
        let place = Place {
            document,
            location: document.location(),
        };
        let mut root = match toml_span::parse(text) {
            Ok(root) => root,
            Err(error) => {
                let line = document.line(error.span);
                let written = text
                    .lines()
                    .nth(line.unwrap_or_default().saturating_sub(1))
                    .unwrap_or_default();
                let message = if has_date(written) {
                    "dates and times aren't supported: write them in quotes".to_owned()
                } else {
                    format!("not TOML: {error}")
                };
                document.report(place.location.clone().line(line).error(message));
                return None;
            }
        };
        Item {
            place,
            value: root.take(),
        }
        .table()
    }

    /// A copy of all values, for a comparison with another configuration. Their keys begin with `prefix`.
    pub fn values(&self, prefix: &[&str]) -> Values {
        Values::of(&self.entries, prefix)
    }

    /// Takes the value of a key. `None` if it is missing.
    pub fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        self.take_unlisted(key)
    }

    /// Like [`Table::take`], for a key that belongs elsewhere: the caller says so, and no error about an unknown key lists it.
    pub fn take_unlisted(&mut self, key: &str) -> Option<Item<'a>> {
        let (key, mut value) = self.entries.remove_entry(key)?;
        Some(Item {
            place: self.place.key(&key.name, key.span),
            value: value.take(),
        })
    }

    /// Like [`Table::take`], for a required key. It is an error if the key is missing.
    pub fn require(&mut self, key: &'static str) -> Option<Item<'a>> {
        let item = self.take(key);
        if item.is_none() {
            self.place.report(format!("the key {key:?} is missing"));
        }
        item
    }

    /// Returns all entries in the order of the document, for a table whose keys are names.
    pub fn into_entries(self) -> impl Iterator<Item = (String, Item<'a>)> {
        let mut entries = Vec::from_iter(self.entries);
        entries.sort_by_key(|(key, _)| key.span.start);
        entries.into_iter().map(move |(key, mut value)| {
            let place = self.place.key(&key.name, key.span);
            (
                key.name.into_owned(),
                Item {
                    place,
                    value: value.take(),
                },
            )
        })
    }

    /// Reports all keys that weren't taken as unknown.
    pub fn finish(self) {
        for key in self.entries.into_keys() {
            let message = error::unknown("key", &key.name, self.known.iter().copied());
            self.place.key(&key.name, key.span).report(message);
        }
    }
}
