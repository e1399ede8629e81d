//! One line of an audit log as it was written: the text that its hash covers, and the hash.

use std::borrow::Cow;

use serde::Deserialize;

use super::hash::Hash;
use super::key::SIGNATURE;

/// The longest line, in bytes with its end.
pub(crate) const MAX_LINE: usize = 1024 * 1024;

/// What a line has between its text and its hash, and after it.
pub(super) const BEFORE_HASH: &str = ",\"hash\":\"";
pub(super) const AFTER_HASH: &str = "\"}";
/// What a signed checkpoint has between its text and the signature, and after it.
pub(super) const BEFORE_SIGNATURE: &str = ",\"signature\":\"";
pub(super) const AFTER_SIGNATURE: &str = "\"";

/// What the messages of the chain's own lines are.
pub(super) const OPENING: &str = "audit log opened";
pub(super) const CHECKPOINT: &str = "audit checkpoint";
pub(super) const DROPPED: &str = "audit lines were dropped";

/// A line without its end.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// The part that the hash covers.
    pub(super) text: &'a [u8],
    /// The hash that it has.
    pub(crate) hash: Hash,
    fields: Fields<'a>,
}

/// The fields of a line that matter to the chain.
#[derive(Clone, Debug, Deserialize)]
struct Fields<'a> {
    seq: u64,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    continues: Option<Cow<'a, str>>,
    cut_off_bytes: Option<u64>,
    #[serde(borrow)]
    cut_off_sha256: Option<Cow<'a, str>>,
    dropped: Option<u64>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    /// Reads a line. `None` if it isn't one of an audit log.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_suffix(AFTER_HASH.as_bytes())?;
        let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(2 * Hash::LENGTH)?)?;
        let text = rest.strip_suffix(BEFORE_HASH.as_bytes())?;
        Some(Self {
            text,
            hash: str::from_utf8(hash).ok()?.parse().ok()?,
            fields: serde_json::from_slice(line).ok()?,
        })
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.fields.seq
    }

    /// When it was written.
    pub(super) fn timestamp(&self) -> Option<&str> {
        self.fields.timestamp.as_deref()
    }

    /// Whether it is the first line after a file or a connection was opened.
    pub(super) fn is_opening(&self) -> bool {
        self.is(OPENING)
    }

    /// The hash of the line that an opening line continues. `None` if it begins a chain.
    pub(super) fn continues(&self) -> Option<Hash> {
        self.fields.continues.as_deref()?.parse().ok()
    }

    /// The length and the hash of the line before an opening line, if that was cut off in its middle.
    pub(super) fn cut_off(&self) -> Option<(u64, Hash)> {
        let hash = self.fields.cut_off_sha256.as_deref()?.parse().ok()?;
        Some((self.fields.cut_off_bytes?, hash))
    }

    /// Whether it is a checkpoint.
    pub(super) fn is_checkpoint(&self) -> bool {
        self.is(CHECKPOINT)
    }

    /// How many lines it says were dropped.
    pub(super) fn dropped(&self) -> u64 {
        let dropped = self.fields.dropped.filter(|_| self.is(DROPPED));
        dropped.unwrap_or_default()
    }

    /// The text that a checkpoint's signature covers, and the signature. `None` if it has none.
    pub(super) fn signature(&self) -> Option<(&'a [u8], Vec<u8>)> {
        self.fields.signature.as_ref()?;
        let rest = self.text.strip_suffix(AFTER_SIGNATURE.as_bytes())?;
        let (rest, signature) = rest.split_at_checked(rest.len().checked_sub(2 * SIGNATURE)?)?;
        let text = rest.strip_suffix(BEFORE_SIGNATURE.as_bytes())?;
        Some((text, hex::decode(signature).ok()?))
    }

    /// What happens in the gateway has other messages, and clients choose none.
    fn is(&self, message: &str) -> bool {
        self.fields.message.as_deref() == Some(message)
    }
}
