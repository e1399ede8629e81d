//! The mistakes in a log, each with its file and line. Only the first ones are kept.

use std::fmt;
use std::sync::Arc;

/// A line of a file. Lines are counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    pub(super) line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// The mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    listed: Vec<String>,
    count: u64,
}

impl Faults {
    /// Adds one at a place.
    pub(super) fn add(&mut self, place: &Place, message: impl fmt::Display) {
        self.add_to_all(format!("{place}: {message}"));
    }

    /// Adds one of all files.
    pub(super) fn add_to_all(&mut self, message: String) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(message);
        }
    }

    /// Those that were kept, and how many there are.
    pub(super) fn into_parts(self) -> (Vec<String>, u64) {
        (self.listed, self.count)
    }
}

/// How many mistakes are kept.
const MAX_LISTED: usize = 100;
