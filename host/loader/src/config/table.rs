//! Takes the keys out of a table, one by one. The table of a blank document has every key that is asked for.

use serde_json::Value;
use serde_json::json;
use toml_span::Span;
use toml_span::value;

use crate::config::digests::Values;
use crate::config::document::Document;
use crate::config::error;
use crate::config::located::Located;
use crate::config::parse::parse;
use crate::config::reader::Item;
use crate::config::reader::Place;

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
        parse(document, text).map(|entries| Self::of(document, entries))
    }

    /// The whole of a blank document, which says what its readers expect.
    pub fn blank(document: &'a Document<'a>) -> Option<Self> {
        let place = Place::of(document);
        let (_, node) = place.schema()?;
        place.blank(node).table()
    }

    /// A table that is the whole of a document.
    pub fn of(document: &'a Document<'a>, entries: value::Table<'a>) -> Self {
        Self::at(Place::of(document), entries)
    }

    pub(super) fn at(place: Place<'a>, entries: value::Table<'a>) -> Self {
        let known = Vec::new();
        Self { place, entries, known }
    }

    /// Whether it belongs to a blank document.
    pub fn is_blank(&self) -> bool {
        self.place.schema().is_some()
    }

    /// A copy of all values with their places.
    pub fn located(&self) -> Located {
        Located::of(&self.entries, &self.place)
    }

    /// A copy of all values, for a comparison with another configuration. Their keys begin with `prefix`.
    pub fn values(&self, prefix: &[&str]) -> Values {
        Values::of(&self.entries, prefix)
    }

    /// Takes the value of a key. `None` if it is missing.
    pub fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        if let Some((schema, node)) = self.place.schema() {
            let place = self.place.key(key, Span::default());
            return Some(place.blank(schema.key(node, key)));
        }
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
        if let Some((schema, node)) = self.place.schema() {
            schema.require(node, key);
        }
        if item.is_none() {
            self.place.report(format!("the key {key:?} is missing"));
        }
        item
    }

    /// Takes the table of a key. If the key is missing, the table is empty, and says what holds without it. `None` if the value is
    /// of another kind, which is reported.
    pub fn section(&mut self, key: &'static str) -> Option<Self> {
        self.default(key, json!({}));
        match self.take(key) {
            Some(item) => item.table(),
            None => Some(Self::at(self.place.without(key), value::Table::new())),
        }
    }

    /// Says what holds if a key is missing.
    pub fn default(&self, key: &'static str, default: impl Into<Value>) {
        if let Some((schema, node)) = self.place.schema() {
            schema.set_default(schema.key(node, key), default.into());
        }
    }

    /// Returns all entries in the order of the document, for a table whose keys are names. That of a blank document has one.
    pub fn into_entries(self) -> impl Iterator<Item = (String, Item<'a>)> {
        let blank = self.place.schema().map(|(schema, node)| {
            let place = self.place.key(BLANK_NAME, Span::default());
            (BLANK_NAME.to_owned(), place.blank(schema.entries(node)))
        });
        let mut entries = Vec::from_iter(self.entries);
        entries.sort_by_key(|(key, _)| key.span.start);
        let entries = entries.into_iter().map(move |(key, mut value)| {
            let place = self.place.key(&key.name, key.span);
            (
                key.name.into_owned(),
                Item {
                    place,
                    value: value.take(),
                },
            )
        });
        blank.into_iter().chain(entries)
    }

    /// Reports all keys that weren't taken as unknown.
    pub fn finish(self) {
        for key in self.entries.into_keys() {
            let message = error::unknown("key", &key.name, self.known.iter().copied());
            self.place.key(&key.name, key.span).report(message);
        }
    }
}

/// The only name in a blank document. It is one of a plugin, of a header and of whatever else has a name.
const BLANK_NAME: &str = "NAME";
