//! Keys that have a default: what holds without a key is said where the key is read, and so the schema knows it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::values;

impl Table<'_> {
    /// Reads `true` or `false`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.default(key, default);
        self.take(key).and_then(Item::boolean).unwrap_or(default)
    }

    /// Reads a whole number within bounds.
    pub fn number(&mut self, key: &'static str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        self.default(key, default);
        let (least, most) = bounds.into_inner();
        let read = self.take(key).and_then(|item| item.number(least, most));
        read.unwrap_or(default)
    }

    /// Reads a duration within bounds.
    pub fn duration(&mut self, key: &'static str, default: Duration, bounds: RangeInclusive<Duration>) -> Duration {
        if self.is_blank() {
            self.default(key, values::shown_duration(default));
        }
        let read = self.take(key).and_then(|item| values::duration(item, bounds));
        read.unwrap_or(default)
    }

    /// Reads a number of bytes within bounds.
    pub fn size(&mut self, key: &'static str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        if self.is_blank() {
            self.default(key, values::shown_size(default as u64));
        }
        let read = self.take(key).and_then(|item| values::size(item, bounds));
        read.unwrap_or(default)
    }

    /// Reads one of these words, of which one means the default.
    pub fn word<T: Clone + PartialEq>(&mut self, key: &'static str, default: T, words: &[(&str, T)]) -> T {
        if let Some((name, _)) = words.iter().find(|(_, meaning)| *meaning == default) {
            self.default(key, *name);
        }
        let read = self.take(key).and_then(|item| item.word(words));
        read.unwrap_or(default)
    }
}
