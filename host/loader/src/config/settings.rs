//! The settings of an authenticator: a table that only its plugin understands, passed to the plugin as JSON. The location of
//! each value is kept for errors from the plugin or its schema.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use toml_span::value::ValueInner;

use crate::config::error::ConfigError;
use crate::config::error::Location;
use crate::config::pattern;
use crate::config::pattern::Found;
use crate::config::reader::Item;
use crate::config::secret::referenced_file;
use crate::config::secret::text_or_reference;

/// Settings with their locations. They may contain secrets, which `Debug` doesn't show.
#[derive(Clone)]
pub struct Settings {
    value: Value,
    places: Vec<Place>,
    /// The plugin that lies in the plugin directory without a `NAME.toml`. `None` if the settings have a file.
    undescribed: Option<PathBuf>,
}

/// Where a value is.
#[derive(Clone)]
struct Place {
    /// The keys and indices that lead to it.
    path: Vec<String>,
    location: Location,
    /// The file that it was read from, if it is a reference to one.
    file: Option<PathBuf>,
}

impl Settings {
    /// Empty settings. `location` is where they would be.
    pub fn none(location: Location) -> Self {
        Self {
            value: Value::Object(Map::new()),
            places: vec![Place {
                path: Vec::new(),
                location,
                file: None,
            }],
            undescribed: None,
        }
    }

    /// The settings of a plugin in the plugin directory that has no `NAME.toml`: empty ones. Errors say how to start one.
    pub fn undescribed(wasm: &Path) -> Self {
        Self {
            undescribed: Some(wasm.to_owned()),
            ..Self::none(Location::file(wasm.display().to_string()))
        }
    }

    /// Reads a table and everything in it. `None` if it has a mistake, which is reported.
    pub fn read(item: Item<'_>) -> Option<Self> {
        if item.describes(|| json!({ "type": "object" })) {
            return None;
        }
        if !matches!(item.value, ValueInner::Table(_)) {
            item.table();
            return None;
        }
        let mut places = Vec::new();
        let value = read(item, &mut Vec::new(), &mut places)?;
        Some(Self {
            value,
            places,
            undescribed: None,
        })
    }

    /// The settings as a JSON object, in which every reference is replaced by its content.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Makes an error about the value at this path, or about a value that is missing there.
    pub fn error(&self, path: &[String], message: impl Into<String>) -> ConfigError {
        let message = match &self.undescribed {
            None => message.into(),
            Some(wasm) => format!(
                "{}: settings are in {}, which doesn't exist. `portcullis plugin inspect {}` prints one to start from",
                message.into(),
                wasm.with_extension("toml").display(),
                wasm.display()
            ),
        };
        let known = self.places.iter().filter(|place| path.starts_with(&place.path));
        let Some(nearest) = known.max_by_key(|place| place.path.len()) else {
            return Location::file("settings").error(message);
        };
        let missing = path.iter().skip(nearest.path.len());
        missing
            .fold(nearest.location.clone(), |location, key| location.key(key))
            .error(message)
    }

    /// Makes errors from the message of a plugin: one of each line if every line names a setting, else one of all. If a setting was
    /// read from a file, `policies: line 3: …` is an error in the third line of that file.
    pub fn rejected(&self, why: &str) -> Vec<ConfigError> {
        let lines = Vec::from_iter(why.lines());
        let name_settings = lines.iter().all(|line| !self.named(line).0.is_empty());
        match lines.as_slice() {
            [_, _, ..] if name_settings => lines.into_iter().map(|line| self.rejected_one(line)).collect(),
            _ => vec![self.rejected_one(why)],
        }
    }

    fn rejected_one(&self, why: &str) -> ConfigError {
        let (path, reason) = self.named(why);
        let place = self.places.iter().find(|place| place.path == path);
        let file = place.and_then(|place| place.file.as_ref());
        let line = reason.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
        let line = line.and_then(|(line, reason)| Some((line.parse::<usize>().ok()?, reason)));
        match (file, line) {
            (Some(file), Some((line, reason))) => Location::file(file.display().to_string()).line(line).error(reason),
            _ => self.error(&path, reason),
        }
    }

    /// The setting that a message of a plugin names, and the rest of the message. Both `limits.sizes[2]: too large` and
    /// `limits: sizes[2]: too large` name a setting, because plugins in Rust produce both forms.
    fn named<'a>(&self, why: &'a str) -> (Vec<String>, &'a str) {
        let mut path = Vec::new();
        let mut reason = why;
        while let Some((place, rest)) = reason.split_once(": ") {
            let keys = place.split(['.', '[']).map(|key| key.trim_end_matches(']').to_owned());
            let longer = Vec::from_iter(path.iter().cloned().chain(keys));
            let outermost = longer.get(..=path.len()).unwrap_or_default();
            if !self.places.iter().any(|place| place.path == outermost) {
                break;
            }
            (path, reason) = (longer, rest);
        }
        (path, reason)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settings({} values)", self.places.len())
    }
}

/// The files of a folder that an item refers to. `None` if it is no such reference.
fn files(item: &Item<'_>) -> Option<Result<Vec<Found>, String>> {
    let ValueInner::String(text) = &item.value else {
        return None;
    };
    let reference = pattern::parse(text)?;
    Some(reference.and_then(|(folder, ending)| pattern::read(item.place.document(), folder, ending)))
}

/// The texts of files, which are items of the list at a path, from this index on.
fn texts(found: Vec<Found>, item: &Item<'_>, path: &[String], first: usize, places: &mut Vec<Place>) -> Vec<Value> {
    let texts = found.into_iter().enumerate().map(|(index, found)| {
        places.push(Place {
            path: [path, &[(first + index).to_string()]].concat(),
            location: item.place.location().clone(),
            file: Some(found.path),
        });
        Value::String(found.text)
    });
    texts.collect()
}

/// Reads a value as JSON, in which every reference is replaced by its content.
pub(crate) fn json(item: Item<'_>) -> Option<Value> {
    read(item, &mut Vec::new(), &mut Vec::new())
}

/// Reads a value and everything in it. Reading continues after a mistake, so that all mistakes are found.
fn read(item: Item<'_>, path: &mut Vec<String>, places: &mut Vec<Place>) -> Option<Value> {
    let place = item.place.clone();
    places.push(Place {
        path: path.clone(),
        location: place.location().clone(),
        file: match &item.value {
            ValueInner::String(text) => referenced_file(place.document(), text),
            _ => None,
        },
    });
    if let Some(found) = files(&item) {
        let found = found.map_err(|message| place.report(message)).ok()?;
        return Some(Value::Array(texts(found, &item, path, 0, places)));
    }
    match item.value {
        ValueInner::Boolean(value) => Some(value.into()),
        ValueInner::Integer(value) => Some(value.into()),
        ValueInner::Float(value) => {
            let number = serde_json::Number::from_f64(value);
            if number.is_none() {
                place.report("must be a finite number");
            }
            number.map(Value::Number)
        }
        ValueInner::String(text) => {
            let text = text_or_reference(place.document(), text.into_owned());
            text.map(Value::String).map_err(|message| place.report(message)).ok()
        }
        ValueInner::Array(_) => {
            let mut values = Vec::new();
            for item in item.list() {
                match files(&item) {
                    Some(found) => {
                        let found = found.map_err(|message| item.place.report(message));
                        let texts = found.ok().map(|found| texts(found, &item, path, values.len(), places));
                        match texts {
                            Some(texts) => values.extend(texts.into_iter().map(Some)),
                            None => values.push(None),
                        }
                    }
                    None => {
                        path.push(values.len().to_string());
                        values.push(read(item, path, places));
                        path.pop();
                    }
                }
            }
            values.into_iter().collect::<Option<_>>().map(Value::Array)
        }
        ValueInner::Table(_) => {
            let entries = item.table()?.into_entries();
            let values = entries.map(|(key, item)| {
                path.push(key.clone());
                let value = read(item, path, places);
                path.pop();
                Some((key, value?))
            });
            Vec::from_iter(values)
                .into_iter()
                .collect::<Option<_>>()
                .map(Value::Object)
        }
    }
}
