//! Verifies an audit log, file by file in the order in which they were written, and says where the chain is broken and how.

mod fault;
mod read;

use std::io;
use std::io::BufRead;

use self::fault::Faults;
use self::fault::Place;
use self::read::Found;
use self::read::Lines;
use super::hash::Hash;
use super::key::AuditPublicKey;
use super::line::Line;
use super::line::MAX_LINE;
use super::seal::ChainEnd;
use super::seal::CutOff;

/// What a log must be.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    keys: Vec<AuditPublicKey>,
    expected: Vec<ChainEnd>,
    allows_several: bool,
    /// The last line so far. `None` before the first one.
    end: Option<ChainEnd>,
    /// A line that was cut off, which the next one must account for.
    cut_off: Option<Fragment>,
    summary: Summary,
    faults: Faults,
}

/// What is no line of a log.
#[derive(Debug)]
struct Fragment {
    place: Place,
    bytes: Vec<u8>,
    /// Whether it has no end, so that it may be one that is just being written.
    is_open: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Summary {
    /// The number of lines.
    pub(crate) lines: u64,
    /// The number of the first line.
    pub(crate) first: u64,
    /// The last line.
    pub(crate) end: ChainEnd,
    /// How many checkpoints there are, or with keys, how many are signed by one of them.
    pub(crate) checkpoints: u64,
    /// How many lines follow the last of these checkpoints, so that it doesn't cover them.
    pub(crate) uncovered: u64,
    /// The time of the last of these checkpoints.
    pub(crate) covered_until: Option<String>,
    /// How many lines the gateway says it has dropped, and how many lines a crash has cut off.
    pub(crate) dropped: u64,
    /// How many lines were cut off, as by a crash, and accounted for.
    pub(crate) cut_off: u64,
    /// How many chains there are.
    pub(crate) chains: u64,
    /// The mistakes, each with its file and line. There may be more than are listed.
    pub(crate) faults: Vec<String>,
    /// How many mistakes there are.
    pub(crate) fault_count: u64,
}

impl Verifier {
    /// Checkpoints must be signed by one of these keys.
    pub(crate) fn trust(mut self, keys: impl IntoIterator<Item = AuditPublicKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// The log must have these lines.
    pub(crate) fn expect(mut self, lines: impl IntoIterator<Item = ChainEnd>) -> Self {
        self.expected.extend(lines);
        self
    }

    /// A chain may begin where another has ended, as at a socket, where each start of the gateway begins one.
    pub(crate) fn allow_several(mut self, allows_several: bool) -> Self {
        self.allows_several = allows_several;
        self
    }

    /// Reads the next file.
    ///
    /// # Errors
    ///
    /// If it can't be read. What is wrong with its lines isn't an error, but a part of the summary.
    pub(crate) fn read(&mut self, name: &str, file: impl BufRead) -> io::Result<()> {
        let mut lines = Lines::new(name, file);
        let mut is_first = true;
        while let Some((place, found)) = lines.next()? {
            match found {
                Found::Line(bytes) => match Line::parse(bytes) {
                    Some(line) => self.line(&place, &line, is_first),
                    None => self.not_a_line(place, bytes, false),
                },
                Found::CutOff(bytes) => self.not_a_line(place, bytes, true),
                Found::TooLong => self.faults.add(&place, "the line is too long for one of an audit log"),
            }
            is_first = false;
        }
        if is_first {
            self.faults.add(&lines.place(), "the file has no line");
        }
        Ok(())
    }

    /// What was found in all files.
    pub(crate) fn finish(mut self) -> Summary {
        match &self.cut_off {
            Some(Fragment { is_open: true, .. }) => self.summary.cut_off += 1,
            _ => self.report_cut_off(),
        }
        let end = self.end.unwrap_or_default();
        for expected in &self.expected {
            let message = match expected.number {
                number if number > end.number => {
                    format!(
                        "the log ends with line {}, so its end is missing: it must have line {expected}",
                        end.number
                    )
                }
                number if number < self.summary.first => {
                    format!(
                        "the log begins with line {}, so a file before it is needed for line {expected}",
                        self.summary.first
                    )
                }
                _ => format!("it has no line {expected}: it was written anew"),
            };
            self.faults.add_to_all(message);
        }
        if !self.keys.is_empty() && self.summary.checkpoints == 0 && self.summary.lines > 0 {
            self.faults.add_to_all("no checkpoint is signed by the key".to_owned());
        }
        self.summary.end = end;
        (self.summary.faults, self.summary.fault_count) = self.faults.into_parts();
        self.summary
    }

    /// A line that the crash of a gateway has cut off is accounted for by the next one, and so are several after several crashes.
    fn not_a_line(&mut self, place: Place, bytes: &[u8], is_open: bool) {
        match &mut self.cut_off {
            Some(before) if before.bytes.len() <= MAX_LINE => {
                before.bytes.push(b'\n');
                before.bytes.extend(bytes);
                before.is_open = false;
            }
            _ => {
                self.report_cut_off();
                let bytes = bytes.to_vec();
                self.cut_off = Some(Fragment { place, bytes, is_open });
            }
        }
    }

    fn report_cut_off(&mut self) {
        if let Some(fragment) = self.cut_off.take() {
            self.faults.add(&fragment.place, "this is no line of an audit log");
        }
    }

    fn line(&mut self, place: &Place, line: &Line<'_>, is_first: bool) {
        self.summary.lines += 1;
        let accounted = line.cut_off().filter(|_| line.is_opening());
        match (&self.cut_off, accounted) {
            (Some(fragment), Some(told)) if CutOff::of(&fragment.bytes).is(told) => {
                self.cut_off = None;
                self.summary.cut_off += 1;
            }
            (None, Some(_)) if !is_first => {
                self.faults.add(
                    place,
                    "it tells of a line that was cut off before it, and there is none",
                );
            }
            _ => self.report_cut_off(),
        }
        if is_first && !line.is_opening() {
            self.faults.add(
                place,
                "the file doesn't begin with the line \"audit log opened\": lines are missing",
            );
        }
        let before = self.before(place, line);
        self.link(place, line, before);
        self.end = Some(ChainEnd {
            number: line.number(),
            hash: line.hash,
        });
        self.expected.retain(|expected| Some(*expected) != self.end);
        self.summary.dropped = self.summary.dropped.saturating_add(line.dropped());
        self.summary.uncovered += 1;
        if line.is_checkpoint() {
            self.checkpoint(place, line, before.map(|before| before.hash));
        }
    }

    /// What a line must follow. `None` if that isn't known, because it is the first one that is read.
    fn before(&mut self, place: &Place, line: &Line<'_>) -> Option<ChainEnd> {
        let begins = line.is_opening() && line.continues().is_none();
        if begins && (self.end.is_none() || self.allows_several) {
            self.summary.chains += 1;
            self.first(line);
            return Some(ChainEnd::default());
        }
        if begins {
            self.faults
                .add(place, "a new chain begins here, so lines may be missing before it");
            self.summary.chains += 1;
            return Some(ChainEnd::default());
        }
        if self.end.is_none() {
            self.summary.chains += 1;
            self.first(line);
            return line.continues().filter(|_| line.is_opening()).map(|hash| ChainEnd {
                number: line.number().saturating_sub(1),
                hash,
            });
        }
        self.end
    }

    fn first(&mut self, line: &Line<'_>) {
        if self.summary.first == 0 {
            self.summary.first = line.number();
        }
    }

    fn link(&mut self, place: &Place, line: &Line<'_>, before: Option<ChainEnd>) {
        let Some(before) = before else { return };
        let (number, expected) = (line.number(), before.number.saturating_add(1));
        if number > expected {
            let missing = match number - 1 {
                last if last == expected => format!("line {expected} is missing"),
                last => format!("lines {expected} to {last} are missing"),
            };
            return self.faults.add(place, format!("{missing} before line {number}"));
        }
        if number < expected {
            let message = format!(
                "line {number} stands after line {}: it was moved or repeated",
                before.number
            );
            return self.faults.add(place, message);
        }
        if before.hash.followed_by(line.text) != line.hash {
            let message =
                format!("line {number} was changed, or the line before it was: its hash is not the one that follows");
            self.faults.add(place, message);
        }
    }

    fn checkpoint(&mut self, place: &Place, line: &Line<'_>, before: Option<Hash>) {
        if !self.keys.is_empty() {
            let (Some((text, signature)), Some(before)) = (line.signature(), before) else {
                return self.faults.add(place, "the checkpoint has no signature");
            };
            if !self.keys.iter().any(|key| key.verifies(&before, text, &signature)) {
                return self
                    .faults
                    .add(place, "the signature of the checkpoint is not one of the key");
            }
        }
        self.summary.checkpoints += 1;
        self.summary.uncovered = 0;
        self.summary.covered_until = line.timestamp().map(str::to_owned);
    }
}

#[cfg(test)]
mod tests;
