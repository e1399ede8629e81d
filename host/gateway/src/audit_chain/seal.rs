//! The end of a chain, to which lines are added, and the lines that are the chain's own.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::SystemTime;

use super::hash::Hash;
use super::hash::sha256;
use super::key::AuditKey;
use super::line::AFTER_HASH;
use super::line::AFTER_SIGNATURE;
use super::line::BEFORE_HASH;
use super::line::BEFORE_SIGNATURE;
use super::line::CHECKPOINT;
use super::line::DROPPED;
use super::line::OPENING;

/// The last line of a chain: its number, counted from 1, and its hash. The default is the end of an empty chain. It is written
/// `NUMBER:HASH`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChainEnd {
    /// The number. 0 if the chain is empty.
    pub(crate) number: u64,
    /// The hash.
    pub(crate) hash: Hash,
}

impl ChainEnd {
    /// Adds a line to the chain. `fields` are the members of a JSON object, without its braces. The line with its end is written
    /// to `out`.
    pub(crate) fn seal(&mut self, fields: &[u8], out: &mut Vec<u8>) {
        self.number = self.number.saturating_add(1);
        let begin = out.len();
        out.extend(self.head());
        out.extend(fields);
        let text = out.get(begin..).unwrap_or_default();
        self.hash = self.hash.followed_by(text);
        let hash = self.hash.to_string();
        for part in [BEFORE_HASH, &hash, AFTER_HASH, "\n"] {
            out.extend(part.as_bytes());
        }
    }

    /// What the line with this number begins with.
    fn head(&self) -> Vec<u8> {
        format!("{{\"seq\":{},", self.number).into_bytes()
    }
}

impl fmt::Display for ChainEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl FromStr for ChainEnd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, hash) = text.split_once(':').ok_or("expected NUMBER:HASH")?;
        Ok(Self {
            number: number.parse().map_err(|_| "expected NUMBER:HASH with a number")?,
            hash: hash.parse()?,
        })
    }
}

/// A line that was cut off in its middle, as by a crash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CutOff {
    bytes: u64,
    hash: Hash,
}

impl CutOff {
    /// What there is of the line.
    pub(crate) fn of(fragment: &[u8]) -> Self {
        Self {
            bytes: u64::try_from(fragment.len()).unwrap_or(u64::MAX),
            hash: sha256(fragment),
        }
    }

    /// Whether these are its length and its hash.
    pub(super) fn is(&self, told: (u64, Hash)) -> bool {
        (self.bytes, self.hash) == told
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The fields of the first line that is written to a file or a connection. It says which line it continues, and which was cut
/// off before it.
pub(crate) fn opening(end: &ChainEnd, key: Option<&AuditKey>, cut_off: Option<CutOff>) -> Vec<u8> {
    let mut fields = own(OPENING, "INFO");
    // Writing to a string can't fail.
    if *end != ChainEnd::default() {
        let _ = write!(fields, ",\"continues\":\"{}\"", end.hash);
    }
    if let Some(cut_off) = cut_off {
        let CutOff { bytes, hash } = cut_off;
        let _ = write!(fields, ",\"cut_off_bytes\":{bytes},\"cut_off_sha256\":\"{hash}\"");
    }
    if let Some(key) = key {
        let _ = write!(fields, ",\"public_key\":\"{}\"", key.public());
    }
    fields.into_bytes()
}

/// The fields of a checkpoint that follows the end of a chain.
pub(crate) fn checkpoint(end: &ChainEnd, key: Option<&AuditKey>) -> Vec<u8> {
    let fields = own(CHECKPOINT, "INFO").into_bytes();
    let Some(key) = key else { return fields };
    let next = ChainEnd {
        number: end.number.saturating_add(1),
        hash: end.hash,
    };
    let text = [next.head().as_slice(), &fields].concat();
    let signature = key.sign(&end.hash, &text);
    let parts = [BEFORE_SIGNATURE, &signature, AFTER_SIGNATURE].concat();
    [fields, parts.into_bytes()].concat()
}

/// The fields of a line that says how many lines are missing before it, because they couldn't be written.
pub(crate) fn dropped(lines: u64) -> Vec<u8> {
    format!("{},\"dropped\":{lines}", own(DROPPED, "WARN")).into_bytes()
}

fn own(message: &str, level: &str) -> String {
    let time = humantime::format_rfc3339_micros(SystemTime::now());
    format!("\"timestamp\":\"{time}\",\"level\":\"{level}\",\"message\":\"{message}\"")
}
