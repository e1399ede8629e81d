//! A digest of every value of a configuration, to compare two configurations. A value that names a file has the digest of
//! the file's content in it, so that a new secret or certificate authority is a change of the key that names it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use portcullis::Digest;
use toml_span::Span;
use toml_span::Value;
use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::document::Document;
use crate::config::pattern;

/// The digests of values by their keys, such as `routes`, `0` and `path`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Digests(BTreeMap<Vec<String>, Digest>);

impl Digests {
    /// Takes the digests of the values below a key. Their keys begin there.
    pub fn below(&self, key: &[&str]) -> Self {
        let inner = self.0.iter().filter(|(own, _)| is_below(own, key));
        let inner = inner.filter_map(|(own, digest)| Some((own.get(key.len()..)?.to_vec(), *digest)));
        Self(inner.collect())
    }

    /// Leaves a value out, because something else overrides it.
    pub fn remove(&mut self, key: &[&str]) {
        self.0.retain(|own, _| !is_below(own, key));
    }

    /// The names at the beginning of all keys, sorted and without duplicates.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::from_iter(self.0.keys().filter_map(|key| key.first()).map(String::as_str));
        names.dedup();
        names
    }

    /// The keys of the values that were added, removed or changed, such as `settings.service_name`. A list counts as one
    /// value, and a table is told by the keys in it.
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let differs = |key: &&Vec<String>| self.0.get(*key) != other.0.get(*key);
        let keys = self.0.keys().chain(other.0.keys()).filter(differs);
        let keys = BTreeSet::from_iter(keys.map(|key| outside_of_lists(key)));
        // What is below a key follows it.
        let next = keys.iter().skip(1).map(Some).chain([None]);
        let innermost = keys.iter().zip(next);
        let innermost = innermost.filter(|(key, next)| !next.is_some_and(|next| next.starts_with(key)));
        innermost.map(|(key, _)| key.join(".")).collect()
    }

    /// One digest of all of them.
    pub fn digest(&self) -> Digest {
        Digest::of(format!("{:?}", self.0).as_bytes())
    }

    /// The digests of an item of the list at a key. Their keys begin in the item.
    pub fn item(&self, list: &str, index: usize) -> Self {
        self.below(&[list, &item(index)])
    }

    /// Adds the values of a document. Call it after they were read, when the files that they name are known.
    pub fn add(&mut self, values: Values, document: &Document<'_>) {
        let content = |document: &Document<'_>, name: &str| {
            if let Some(Ok((folder, ending))) = pattern::parse(name) {
                let contents = document.sources().contents_below(&document.path(folder), ending);
                return Some(contents.to_string());
            }
            let path = document.path(name.strip_prefix("file:").unwrap_or(name));
            let sources = document.sources();
            let content = sources.content(&path).map(|content| content.to_string());
            // What uses the file follows it, but the same words name another file in another folder.
            let is_elsewhere = || document.is_part() && sources.is_noted(&path);
            content.or_else(|| is_elsewhere().then(|| path.display().to_string()))
        };
        self.0.extend(values.0.into_iter().map(|(key, value)| {
            let names = key.iter().chain([&value.text]);
            // A path is relative to the file in which it stands.
            let document = document.of(value.span);
            let contents = names.filter_map(|name| content(document, name)).collect::<String>();
            let digest = Digest::of(format!("{contents} {} {}", value.kind, value.text).as_bytes());
            (key, digest)
        }));
    }
}

/// All values of a document, before the files that they name were read.
#[derive(Default)]
pub struct Values(Vec<(Vec<String>, Scalar)>);

struct Scalar {
    kind: &'static str,
    text: String,
    span: Span,
}

impl Values {
    /// Copies all values of a table. Their keys begin with `prefix`.
    pub fn of(table: &value::Table<'_>, prefix: &[&str]) -> Self {
        let mut all = Self::default();
        let mut path = Vec::from_iter(prefix.iter().map(ToString::to_string));
        all.table(table, &mut path);
        all
    }

    fn push(&mut self, path: &[String], kind: &'static str, text: impl ToString, span: Span) {
        let text = text.to_string();
        self.0.push((path.to_vec(), Scalar { kind, text, span }));
    }

    fn table(&mut self, table: &value::Table<'_>, path: &mut Vec<String>) {
        for (key, value) in table {
            path.push(key.name.to_string());
            self.value(value, path);
            path.pop();
        }
    }

    fn value(&mut self, value: &Value<'_>, path: &mut Vec<String>) {
        let span = value.span;
        match value.as_ref() {
            ValueInner::Table(table) => {
                // So that an empty table differs from none.
                self.push(path, "table", "", span);
                self.table(table, path);
            }
            ValueInner::Array(items) => {
                self.push(path, "list", "", span);
                for (index, value) in items.iter().enumerate() {
                    path.push(item(index));
                    self.value(value, path);
                    path.pop();
                }
            }
            ValueInner::String(text) => self.push(path, "string", text, span),
            ValueInner::Integer(number) => self.push(path, "integer", number, span),
            ValueInner::Float(number) => self.push(path, "float", number, span),
            ValueInner::Boolean(value) => self.push(path, "boolean", value, span),
        }
    }
}

fn is_below(own: &[String], key: &[&str]) -> bool {
    own.len() >= key.len() && own.iter().zip(key).all(|(own, key)| own == key)
}

/// The key of an item of a list. A key of a table can look the same, but then the value above it is a table and not a list.
fn item(index: usize) -> String {
    format!("{INDEX}{index}")
}

const INDEX: char = '\u{0}';

/// The key of a value without what is inside of a list, because the indices of a list that has changed say little.
fn outside_of_lists(key: &[String]) -> &[String] {
    let outside = key.iter().position(|part| part.starts_with(INDEX));
    key.get(..outside.unwrap_or(key.len())).unwrap_or(key)
}
