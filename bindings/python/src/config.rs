//! Keywords and dicts of Python as JSON, which the loader reads as it reads the keys of `[authenticators.NAME]` and
//! `[authorizers.NAME]`. A value that
//! JSON doesn't have is a mistake with its place. No message repeats a value, which may be a secret.

use portcullis_loader::config::error::ConfigError;
use portcullis_loader::config::error::Location;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyBool;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;
use pyo3::types::PyFloat;
use pyo3::types::PyInt;
use pyo3::types::PyList;
use pyo3::types::PyString;
use pyo3::types::PyTuple;
use pyo3::types::PyTypeMethods;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

/// How deep values may be within each other. A list may contain itself.
const MAX_DEPTH: usize = 64;

/// Reads keys that stand at this place, for messages. A keyword that is `None` is as one that isn't there; further in, the loader
/// reports it, so that a password that is missing in the environment isn't taken for none. Values with a mistake are left out,
/// and their mistakes are returned.
pub(crate) fn keys(place: &str, given: Option<&Bound<'_, PyDict>>) -> (Map<String, Value>, Vec<ConfigError>) {
    let mut mistakes = Vec::new();
    let place = Location::file(place.to_owned());
    let read = given.and_then(|given| dict(given, &place, &mut mistakes, 0));
    (read.unwrap_or_default(), mistakes)
}

fn dict(
    entries: &Bound<'_, PyDict>,
    place: &Location,
    mistakes: &mut Vec<ConfigError>,
    depth: usize,
) -> Option<Map<String, Value>> {
    let mut read = Map::new();
    for (key, value) in entries.iter() {
        let Ok(key) = key.extract::<String>() else {
            let message = format!("expected keys that are strings, found {}", found(&key));
            mistakes.push(place.error(message));
            continue;
        };
        if depth == 0 && value.is_none() {
            continue;
        }
        if let Some(value) = json(&value, &place.key(&key), mistakes, depth + 1) {
            read.insert(key, value);
        }
    }
    Some(read)
}

/// Reads a value and everything in it. Reading continues after a mistake.
fn json(value: &Bound<'_, PyAny>, place: &Location, mistakes: &mut Vec<ConfigError>, depth: usize) -> Option<Value> {
    let mut mistake = |message: String| mistakes.push(place.error(message));
    if depth > MAX_DEPTH {
        mistake(format!("values are more than {MAX_DEPTH} deep within each other"));
        return None;
    }
    if value.is_none() {
        return Some(Value::Null);
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return value.extract().ok().map(Value::Bool);
    }
    if value.cast::<PyInt>().is_ok() {
        let number = value.extract::<i64>();
        return number
            .map(Value::from)
            .map_err(|_| mistake("the number has more than 64 bits".to_owned()))
            .ok();
    }
    if value.cast::<PyFloat>().is_ok() {
        let number = value.extract().ok().and_then(Number::from_f64);
        if number.is_none() {
            mistake("must be a finite number".to_owned());
        }
        return number.map(Value::Number);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return text
            .extract()
            .map(Value::String)
            .map_err(|_| mistake("the text has surrogates, which are no characters".to_owned()))
            .ok();
    }
    if let Ok(entries) = value.cast::<PyDict>() {
        return dict(entries, place, mistakes, depth).map(Value::Object);
    }
    if value.cast::<PyList>().is_ok() || value.cast::<PyTuple>().is_ok() {
        let items = value.try_iter().ok()?.enumerate();
        let items = items.filter_map(|(index, item)| json(&item.ok()?, &place.index(index), mistakes, depth + 1));
        return Some(Value::Array(items.collect()));
    }
    let expected = "expected None, a bool, an int, a float, a str, a list or a dict";
    mistake(format!("{expected}, found {}", found(value)));
    None
}

fn found(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name();
    name.map_or_else(|_| "another type".to_owned(), |name| name.to_string())
}
