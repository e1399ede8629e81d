//! Values of Python as JSON, which is what plugins get. A value that JSON doesn't have is a mistake with its place. No message
//! repeats a value, which may be a secret.

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

use super::mistakes::Mistakes;
use super::mistakes::below;

/// How deep values may be within each other. A list may contain itself.
const MAX_DEPTH: usize = 64;

/// Reads settings: a dict.
///
/// In TOML, `env:NAME` and `file:PATH` stand for the content of a variable or file. Python has other ways to read these, and a
/// text that is copied from TOML must not become the secret itself.
pub(super) fn settings(value: &Bound<'_, PyAny>, mistakes: &Mistakes) -> Value {
    let place = "settings";
    if value.cast::<PyDict>().is_err() {
        mistakes.report(place, format!("expected a dict, found {}", found(value)));
        return Value::Null;
    }
    let value = plain(value, place, mistakes).unwrap_or_default();
    refuse_references(&value, place, mistakes);
    value
}

fn refuse_references(value: &Value, place: &str, mistakes: &Mistakes) {
    match value {
        Value::String(text) if text.starts_with("env:") => {
            mistakes.report(
                place,
                "\"env:NAME\" is read in TOML only: write os.environ[\"NAME\"] here",
            );
        }
        Value::String(text) if text.starts_with("file:") => mistakes.report(
            place,
            "\"file:PATH\" is read in TOML only: write pathlib.Path(\"PATH\").read_text() here",
        ),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_references(item, &format!("{place}[{index}]"), mistakes);
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                refuse_references(value, &below(place, key), mistakes);
            }
        }
        _ => {}
    }
}

/// Reads a value and everything in it. Reading continues after a mistake.
pub(super) fn plain(value: &Bound<'_, PyAny>, place: &str, mistakes: &Mistakes) -> Option<Value> {
    read(value, place, mistakes, 0)
}

fn read(value: &Bound<'_, PyAny>, place: &str, mistakes: &Mistakes, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        mistakes.report(
            place,
            format!("values are more than {MAX_DEPTH} deep within each other"),
        );
        return None;
    }
    if value.is_none() {
        return Some(Value::Null);
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return value.extract().ok().map(Value::Bool);
    }
    if value.cast::<PyInt>().is_ok() {
        let number = value.extract::<i64>().map(Number::from);
        let number = number.or_else(|_| value.extract::<u64>().map(Number::from));
        return number
            .map(Value::Number)
            .map_err(|_| mistakes.report(place, "the number has more than 64 bits"))
            .ok();
    }
    if value.cast::<PyFloat>().is_ok() {
        let number = value.extract().ok().and_then(Number::from_f64);
        if number.is_none() {
            mistakes.report(place, "must be a finite number");
        }
        return number.map(Value::Number);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return text
            .extract()
            .map(Value::String)
            .map_err(|_| mistakes.report(place, "the text has surrogates, which are no characters"))
            .ok();
    }
    if let Ok(entries) = value.cast::<PyDict>() {
        let mut read_entries = Map::new();
        for (key, value) in entries.iter() {
            let Ok(key) = key.extract::<String>() else {
                mistakes.report(place, format!("expected keys that are strings, found {}", found(&key)));
                continue;
            };
            if let Some(value) = read(&value, &below(place, &key), mistakes, depth + 1) {
                read_entries.insert(key, value);
            }
        }
        return Some(Value::Object(read_entries));
    }
    if value.cast::<PyList>().is_ok() || value.cast::<PyTuple>().is_ok() {
        let items = value.try_iter().ok()?.enumerate();
        let items = items.filter_map(|(index, item)| {
            let item = item.ok()?;
            read(&item, &format!("{place}[{index}]"), mistakes, depth + 1)
        });
        return Some(Value::Array(items.collect()));
    }
    let expected = "expected None, a bool, an int, a float, a str, a list or a dict";
    mistakes.report(place, format!("{expected}, found {}", found(value)));
    None
}

fn found(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name();
    name.map_or_else(|_| "another type".to_owned(), |name| name.to_string())
}
