//! `[audit]`: the file or socket that gets the lines of the audit log in a chain. Without the section they are in the log alone.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::secret::secret;

use crate::audit_chain::AuditKey;

/// The settings of the audit file or socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AuditConfig {
    /// Where the lines go.
    pub(crate) target: AuditTarget,
    /// How many lines may wait to be written.
    pub(crate) queue: usize,
    /// What happens if that many wait.
    pub(crate) when_full: WhenFull,
    /// How often a checkpoint is written.
    pub(crate) checkpoint: Duration,
    /// What signs checkpoints. `None` if they aren't signed.
    pub(crate) key: Option<AuditKey>,
}

/// Where the lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AuditTarget {
    /// To the end of a file.
    File(PathBuf),
    /// To the program that listens at a Unix socket.
    Socket(PathBuf),
}

/// What happens if no further line may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WhenFull {
    /// Lines are dropped and counted.
    Drop,
    /// Requests are answered with 503.
    Refuse,
}

impl fmt::Display for AuditTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl AuditConfig {
    /// Returns `None` if it isn't known where the lines go.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let place = table.place.clone();
        let document = place.document();
        let path = |item: Item<'_>| {
            let expected = "the path of a file";
            item.parse(expected, |text| (!text.is_empty()).then(|| document.path(text)))
        };
        let socket = |item: Item<'_>| {
            item.parse("unix:PATH", |text| {
                let path = text
                    .strip_prefix("unix:")
                    .filter(|path| !path.is_empty() && !path.starts_with('@'));
                path.map(|path| document.path(path))
            })
        };
        let file = table.take("file").map(path);
        let socket = table.take("socket").map(socket);
        let target = match (file, socket) {
            (Some(file), None) => file.map(AuditTarget::File),
            (None, Some(socket)) => socket.map(AuditTarget::Socket),
            (Some(_), Some(_)) => {
                place.report("file and socket contradict each other: lines go to one of them");
                None
            }
            (None, None) => {
                place.report("one of the keys \"file\" and \"socket\" is needed");
                None
            }
        };
        let queue = table.number("queue", DEFAULT_QUEUE, MIN_QUEUE..=MAX_QUEUE);
        let words = [("drop", WhenFull::Drop), ("refuse", WhenFull::Refuse)];
        let when_full = table.word("when_full", WhenFull::Drop, &words);
        let checkpoint = table.duration("checkpoint", DEFAULT_CHECKPOINT, MIN_CHECKPOINT..=MAX_CHECKPOINT);
        let key = table.take("key").and_then(key);
        table.finish();
        Some(Self {
            target: target?,
            queue,
            when_full,
            checkpoint,
            key,
        })
    }
}

fn key(item: Item<'_>) -> Option<AuditKey> {
    let place = item.place.clone();
    AuditKey::from_hex(secret(item)?.expose())
        .map_err(|message| place.report(message))
        .ok()
}

/// Fewer would be full by a few requests at the same time.
const MIN_QUEUE: usize = 16;
const MAX_QUEUE: usize = 1_000_000;
const DEFAULT_QUEUE: usize = 8192;
const MIN_CHECKPOINT: Duration = Duration::from_secs(1);
const MAX_CHECKPOINT: Duration = Duration::from_secs(3600);
const DEFAULT_CHECKPOINT: Duration = Duration::from_secs(60);
