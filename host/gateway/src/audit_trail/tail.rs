//! The end of an audit file: the last line of its chain, and what stands after it, as a crash leaves it.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;

use crate::audit_chain::ChainEnd;
use crate::audit_chain::CutOff;
use crate::audit_chain::Line;
use crate::audit_chain::MAX_LINE;

/// The end of a file.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Tail {
    /// The last line. `None` if the file has none.
    pub(super) end: Option<ChainEnd>,
    /// What follows it and is no whole line.
    pub(super) cut_off: Option<CutOff>,
    /// Whether the next line needs an end of a line before it.
    pub(super) needs_break: bool,
}

impl Tail {
    /// Reads at most the last [`MAX_READ`] bytes of a file.
    ///
    /// # Errors
    ///
    /// If it can't be read, or isn't an audit log.
    pub(super) fn read(file: &mut File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let begin = length.saturating_sub(MAX_READ);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        Self::of(&bytes, begin == 0).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "its end has no line of an audit log: move the file away, or name another one",
            )
        })
    }

    /// The end of these bytes. `None` if they aren't those of an audit log.
    fn of(bytes: &[u8], is_whole: bool) -> Option<Self> {
        let mut rest = bytes;
        loop {
            let (line, before) = match rest.strip_suffix(b"\n") {
                Some(whole) => {
                    let begin = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    (whole.get(begin..)?, whole.get(..begin)?)
                }
                None => {
                    let begin = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    (&[][..], rest.get(..begin)?)
                }
            };
            if let Some(line) = Line::parse(line) {
                let end = ChainEnd {
                    number: line.number(),
                    hash: line.hash,
                };
                return Some(Self::after(Some(end), bytes.get(rest.len()..)?));
            }
            if before.is_empty() {
                // What the crash of a first start leaves begins like a line, or is of zeros only.
                let is_own =
                    bytes.starts_with(BEGIN) || BEGIN.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0);
                return (is_whole && is_own).then(|| Self::after(None, bytes));
            }
            rest = before;
        }
    }

    fn after(end: Option<ChainEnd>, rest: &[u8]) -> Self {
        let fragment = rest.strip_suffix(b"\n").unwrap_or(rest);
        Self {
            end,
            cut_off: (!rest.is_empty()).then(|| CutOff::of(fragment)),
            needs_break: !rest.is_empty() && !rest.ends_with(b"\n"),
        }
    }
}

/// How much of a file is read, in bytes: a line that was cut off, and the one before.
const MAX_READ: u64 = 2 * MAX_LINE as u64;

/// What every line begins with.
const BEGIN: &[u8] = b"{\"seq\":";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> (Vec<u8>, ChainEnd) {
        let (mut bytes, mut end) = (Vec::new(), ChainEnd::default());
        (0..count).for_each(|_| end.seal(b"\"message\":\"x\"", &mut bytes));
        (bytes, end)
    }

    #[test]
    fn the_last_whole_line_is_the_end_whatever_follows() {
        let (whole, end) = lines(3);
        let cut = |text: &[u8], needs_break| Tail {
            end: Some(end),
            cut_off: Some(CutOff::of(text)),
            needs_break,
        };
        let zeros = [0; 4096];
        for (rest, expected) in [
            (
                &b""[..],
                Tail {
                    end: Some(end),
                    ..Tail::default()
                },
            ),
            (b"{\"seq\":4,\"mess", cut(b"{\"seq\":4,\"mess", true)),
            (b"{", cut(b"{", true)),
            (&zeros, cut(&zeros, true)),
            (b"{\"seq\n", cut(b"{\"seq", false)),
            (b"{\"seq\n{\"seq\":4", cut(b"{\"seq\n{\"seq\":4", true)),
            (b"\n", cut(b"", false)),
        ] {
            assert_eq!(Tail::of(&[&whole, rest].concat(), true), Some(expected), "{rest:?}");
        }
        for cut in 1..whole.len() {
            let found = Tail::of(&whole[..cut], true).unwrap();
            let number = whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(found.end.map_or(0, |end| end.number), number, "{cut}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        for (text, is_whole, expected) in [
            (&b""[..], true, true),
            (b"{\"s", true, true),
            (b"{\"seq\":1,\"x", true, true),
            (b"{\"seq\":1,\"x", false, false),
            (b"hello\n", true, false),
            (b"{\"message\":\"hello\"}\n", true, false),
        ] {
            assert_eq!(Tail::of(text, is_whole).is_some(), expected, "{text:?}");
        }
    }
}
