//! Reads a TOML document key by key. A mistake is reported with its location, and reading continues, so that all mistakes
//! are found together. A value with a mistake is read as `None`. Over a blank document (see [`Schema`]) the same calls say what they
//! expect, and read `None`, too.

use serde_json::Value;
use serde_json::json;
use toml_span::Span;
use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::document::Document;
use crate::config::error::Location;
use crate::config::schema::NodeId;
use crate::config::schema::Schema;
pub use crate::config::table::Table;

/// A location in a document, at which mistakes can be reported.
#[derive(Clone)]
pub struct Place<'a> {
    /// All that is read together.
    whole: &'a Document<'a>,
    /// The part of it in which this stands.
    document: &'a Document<'a>,
    location: Location,
    /// The place in the schema. `None` if a file is read.
    node: Option<NodeId>,
}

impl<'a> Place<'a> {
    pub(super) fn of(document: &'a Document<'a>) -> Self {
        Self {
            whole: document,
            document,
            location: document.location(),
            node: document.schema().map(Schema::root),
        }
    }

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

    pub(super) fn key(&self, key: &str, span: Span) -> Self {
        self.below(self.location.key(key), span)
    }

    pub(super) fn index(&self, index: usize, span: Span) -> Self {
        self.below(self.location.index(index), span)
    }

    /// The place of a key that is missing here.
    pub(super) fn without(&self, key: &str) -> Self {
        Self {
            location: self.location.key(key),
            ..self.clone()
        }
    }

    fn below(&self, location: Location, span: Span) -> Self {
        let document = self.whole.of(span);
        Self {
            whole: self.whole,
            document,
            location: document.locate(location, span),
            node: None,
        }
    }

    /// The schema and the place in it. `None` if a file is read.
    pub(super) fn schema(&self) -> Option<(&'a Schema, NodeId)> {
        self.whole.schema().zip(self.node)
    }

    /// A blank item that has this place in the schema.
    pub(super) fn blank(&self, node: NodeId) -> Item<'a> {
        Item {
            place: Self {
                node: Some(node),
                ..self.clone()
            },
            value: ValueInner::Boolean(false),
        }
    }
}

/// A value and its place in the document.
#[non_exhaustive]
pub struct Item<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// The value, at which readers outside of this crate can't look: the methods below also say what they expect.
    pub(crate) value: ValueInner<'a>,
}

impl<'a> Item<'a> {
    /// Whether the item is blank. If so, its value must be of this schema.
    pub(crate) fn describes(&self, schema: impl FnOnce() -> Value) -> bool {
        match self.place.schema() {
            Some((all, node)) => {
                all.leaf(node, schema());
                true
            }
            None => false,
        }
    }

    /// Reads a string.
    pub fn text(self) -> Option<String> {
        if self.describes(|| json!({ "type": "string" })) {
            return None;
        }
        match self.value {
            ValueInner::String(text) => Some(text.into_owned()),
            other => not_text(&self.place, "a string", &other),
        }
    }

    /// Reads a string and parses it. `expected` describes the value for the error, such as "an address, such as …".
    pub fn parse<T>(self, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if self.describes(|| json!({ "type": "string", "description": expected })) {
            return None;
        }
        let ValueInner::String(text) = &self.value else {
            return not_text(&self.place, expected, &self.value);
        };
        let parsed = parse(text);
        if parsed.is_none() {
            self.place.report(format!("{text:?} is not {expected}"));
        }
        parsed
    }

    /// Reads one of these words, each of which means something.
    pub fn word<T: Clone>(self, words: &[(&str, T)]) -> Option<T> {
        self.word_of("", words)
    }

    /// Like [`Item::word`]. `what` begins the list of the words in the error, such as "a level: ".
    pub fn word_of<T: Clone>(self, what: &str, words: &[(&str, T)]) -> Option<T> {
        let names = Vec::from_iter(words.iter().map(|(name, _)| *name));
        if self.describes(|| json!({ "enum": names })) {
            return None;
        }
        let meaning = |text: &str| {
            let word = words.iter().find(|(name, _)| *name == text)?;
            Some(word.1.clone())
        };
        self.parse(&format!("{what}{}", one_of(&names)), meaning)
    }

    /// Reads `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        if self.describes(|| json!({ "type": "boolean" })) {
            return None;
        }
        match self.value {
            ValueInner::Boolean(value) => Some(value),
            other => mismatch(&self.place, "true or false", &other),
        }
    }

    /// Reads a whole number from `least` to `most`.
    pub fn number(self, least: usize, most: usize) -> Option<usize> {
        if self.describes(|| json!({ "type": "integer", "minimum": least, "maximum": most })) {
            return None;
        }
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

    /// Reads a number from 0 to 1, such as a share.
    pub fn fraction(self) -> Option<f64> {
        if self.describes(|| json!({ "type": "number", "minimum": 0, "maximum": 1 })) {
            return None;
        }
        let expected = "a number from 0 to 1, such as 0.1";
        let number = match self.value {
            ValueInner::Float(number) => number,
            ValueInner::Integer(0) => 0.0,
            ValueInner::Integer(1) => 1.0,
            ValueInner::Integer(_) => f64::NAN,
            other => return mismatch(&self.place, expected, &other),
        };
        if !(0.0..=1.0).contains(&number) {
            self.place.report(format!("expected {expected}"));
            return None;
        }
        Some(number)
    }

    /// Reads the items of a list. Returns an empty list if the value isn't a list. That of a blank document has one item.
    pub fn list(self) -> Vec<Self> {
        if let Some((schema, node)) = self.place.schema() {
            return vec![self.place.index(0, Span::default()).blank(schema.list(node))];
        }
        let ValueInner::Array(items) = self.value else {
            return mismatch(&self.place, "a list", &self.value).unwrap_or_default();
        };
        let item = |(index, mut item): (usize, toml_span::Value<'a>)| Self {
            place: self.place.index(index, item.span),
            value: item.take(),
        };
        items.into_iter().enumerate().map(item).collect()
    }

    /// Reads a table. That of a blank document has every key.
    pub fn table(self) -> Option<Table<'a>> {
        if let Some((schema, node)) = self.place.schema() {
            schema.table(node);
            return Some(Table::at(self.place, value::Table::new()));
        }
        match self.value {
            ValueInner::Table(entries) => Some(Table::at(self.place, entries)),
            other => mismatch(&self.place, "a table", &other),
        }
    }

    /// Reads a value that may have one of two shapes: the first if it is of this kind, and otherwise the second. Both are told to
    /// the schema.
    pub fn either<T>(self, kind: Kind, first: impl FnOnce(Self) -> T, second: impl FnOnce(Self) -> T) -> T {
        if let Some((schema, node)) = self.place.schema() {
            let [one, other] = schema.either(node);
            first(self.place.blank(one));
            return second(self.place.blank(other));
        }
        if kind.is_of(&self.value) {
            first(self)
        } else {
            second(self)
        }
    }
}

/// A kind of values by which a reader tells one shape from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "TOML has no other kinds by which shapes are told"
)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A list.
    List,
    /// A table.
    Table,
}

impl Kind {
    fn is_of(self, value: &ValueInner<'_>) -> bool {
        match self {
            Self::Boolean => matches!(value, ValueInner::Boolean(_)),
            Self::List => matches!(value, ValueInner::Array(_)),
            Self::Table => matches!(value, ValueInner::Table(_)),
        }
    }
}

/// The words in quotes: `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted = Vec::from_iter(words.iter().map(|word| format!("{word:?}")));
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn mismatch<T>(place: &Place<'_>, expected: &str, value: &ValueInner<'_>) -> Option<T> {
    mismatch_with(place, expected, value, "")
}

/// Reports a value that should be a text. The value of a variable may be meant as one.
fn not_text<T>(place: &Place<'_>, expected: &str, value: &ValueInner<'_>) -> Option<T> {
    let is_bare = !matches!(value, ValueInner::Array(_) | ValueInner::Table(_));
    let hint = match place.document.is_variable() && is_bare {
        true => "; a variable's value is read as TOML: for a text, put quotes into it, as in '\"12\"'",
        false => "",
    };
    mismatch_with(place, expected, value, hint)
}

fn mismatch_with<T>(place: &Place<'_>, expected: &str, value: &ValueInner<'_>, hint: &str) -> Option<T> {
    let found = match value {
        ValueInner::String(_) => "a string",
        ValueInner::Integer(_) => "an integer",
        ValueInner::Float(_) => "a float",
        ValueInner::Boolean(_) => "a boolean",
        ValueInner::Array(_) => "a list",
        ValueInner::Table(_) => "a table",
    };
    place.report(format!("expected {expected}, found {found}{hint}"));
    None
}
