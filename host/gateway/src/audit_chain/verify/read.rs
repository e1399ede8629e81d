//! Reads lines that may be longer than any line of a log, and ones that have no end, without keeping much of them.

use std::io;
use std::io::BufRead;
use std::io::Read as _;
use std::sync::Arc;

use super::fault::Place;
use crate::audit_chain::line::MAX_LINE;

/// The lines of one file.
#[derive(Debug)]
pub(super) struct Lines<R> {
    file: R,
    place: Place,
    line: Vec<u8>,
}

/// What stands in a line.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// The line without its end.
    Line(&'a [u8]),
    /// The last line of the file, which has no end.
    CutOff(&'a [u8]),
    /// More than a line can have.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(name: &str, file: R) -> Self {
        Self {
            file,
            place: Place {
                file: Arc::from(name),
                line: 0,
            },
            line: Vec::new(),
        }
    }

    /// The place of the line that was read last.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// The next line. `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<(Place, Found<'_>)>> {
        if !self.read()? {
            return Ok(None);
        }
        self.place.line += 1;
        let place = self.place.clone();
        if self.line.len() > MAX_LINE && !self.line.ends_with(b"\n") {
            while !self.line.ends_with(b"\n") && self.read()? {}
            return Ok(Some((place, Found::TooLong)));
        }
        let found = match self.line.strip_suffix(b"\n") {
            Some(line) => Found::Line(line),
            None => Found::CutOff(&self.line),
        };
        Ok(Some((place, found)))
    }

    /// Reads the next part of the file, up to the end of a line. Returns whether there is more.
    fn read(&mut self) -> io::Result<bool> {
        self.line.clear();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(1);
        let read = (&mut self.file).take(most).read_until(b'\n', &mut self.line)?;
        Ok(read > 0)
    }
}
