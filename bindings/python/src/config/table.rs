//! Reads a table key by key, with the messages of the configuration in TOML. A value with a mistake is read as `None`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Map;
use serde_json::Value;

use super::mistakes::Mistakes;
use super::mistakes::below;
use super::mistakes::unknown;

/// A value and its place.
pub(super) struct Item<'a> {
    place: String,
    value: Value,
    mistakes: &'a Mistakes,
}

impl<'a> Item<'a> {
    pub(super) fn new(place: String, value: Value, mistakes: &'a Mistakes) -> Self {
        Self { place, value, mistakes }
    }

    pub(super) fn report(&self, message: impl AsRef<str>) {
        self.mistakes.report(&self.place, message);
    }

    fn mismatch<T>(&self, expected: &str) -> Option<T> {
        let found = match &self.value {
            Value::Null => "None",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_f64() => "a float",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
        };
        self.report(format!("expected {expected}, found {found}"));
        None
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => self.mismatch("a string"),
        }
    }

    /// Parses a string. `expected` describes the value, such as "an address, such as …".
    pub(super) fn parse<T>(&self, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let Value::String(text) = &self.value else {
            return self.mismatch(expected);
        };
        let parsed = parse(text);
        if parsed.is_none() {
            self.report(format!("{text:?} is not {expected}"));
        }
        parsed
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            _ => self.mismatch("true or false"),
        }
    }

    /// Reads a whole number from `least` to `most`.
    pub(super) fn number(&self, least: usize, most: usize) -> Option<usize> {
        let Value::Number(number) = &self.value else {
            return self.mismatch("a whole number");
        };
        if number.is_f64() {
            return self.mismatch("a whole number");
        }
        let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.report(format!("must be {least} to {most}"));
        }
        number
    }

    /// Reads a duration such as `12h`, `150ms` or `1h30m`.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        // humantime 2.4 panics if seconds and nanoseconds overflow together, which takes more than 20 bytes.
        let parse = |text: &str| {
            if text.len() > 20 {
                None
            } else {
                humantime::parse_duration(text).ok()
            }
        };
        let duration = self.parse("a duration, such as \"12h\", \"1h30m\" or \"150ms\"", parse)?;
        if !bounds.contains(&duration) {
            let [least, most] = [bounds.start(), bounds.end()].map(|bound| humantime::format_duration(*bound));
            self.report(format!("must be {least} to {most}"));
            return None;
        }
        Some(duration)
    }

    /// Reads a number of bytes such as `32MiB`.
    pub(super) fn size(&self, bounds: RangeInclusive<usize>) -> Option<usize> {
        let parse = |text: &str| text.parse::<bytesize::ByteSize>().ok();
        let size = self.parse("a size, such as \"64KiB\" or \"32MiB\"", parse)?;
        let size = usize::try_from(size.as_u64()).ok().filter(|size| bounds.contains(size));
        if size.is_none() {
            let [least, most] = [bounds.start(), bounds.end()].map(|bound| bytesize::ByteSize(*bound as u64));
            self.report(format!("must be {least} to {most}"));
        }
        size
    }

    /// Reads the items of a list. Items with a mistake are left out.
    pub(super) fn each<T>(self, read: impl Fn(Self) -> Option<T>) -> Vec<T> {
        let Value::Array(items) = self.value else {
            return self.mismatch("a list").unwrap_or_default();
        };
        let item = |(index, value)| Item::new(format!("{}[{index}]", self.place), value, self.mistakes);
        items.into_iter().enumerate().map(item).filter_map(read).collect()
    }

    pub(super) fn table(self) -> Option<Table<'a>> {
        match self.value {
            Value::Object(entries) => Some(Table {
                place: self.place,
                entries,
                known: Vec::new(),
                mistakes: self.mistakes,
            }),
            _ => self.mismatch("a table"),
        }
    }
}

/// A table whose keys are taken one by one. [`Table::finish`] reports the keys that are left.
pub(super) struct Table<'a> {
    place: String,
    entries: Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: &'a Mistakes,
}

impl<'a> Table<'a> {
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        Some(Item::new(below(&self.place, key), value, self.mistakes))
    }

    /// Reports all keys that weren't taken as unknown.
    pub(super) fn finish(self) {
        for key in self.entries.keys() {
            let message = unknown(key, self.known.iter().copied());
            self.mistakes.report(&below(&self.place, key), message);
        }
    }
}
