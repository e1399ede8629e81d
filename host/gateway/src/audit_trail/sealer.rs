//! Seals lines and writes them to the sink: the chain goes on over files and connections, each of which begins with an opening
//! line, and over checkpoints.

use std::collections::VecDeque;
use std::io;

use super::sink::Gone;
use super::sink::Opened;
use super::sink::Sink;
use super::sink::WriteError;
use crate::audit_chain::AuditKey;
use crate::audit_chain::ChainEnd;
use crate::audit_chain::checkpoint;
use crate::audit_chain::dropped;
use crate::audit_chain::opening;
use crate::config::AuditConfig;

/// The end of the chain, and the sink that it is written to.
#[derive(Debug)]
pub(super) struct Sealer {
    /// What the sink is called in the log.
    pub(super) name: String,
    sink: Sink,
    /// The last line that was written.
    end: ChainEnd,
    /// What an opening line must tell before any other line. `None` if there is one.
    opened: Option<Opened>,
    /// What signs checkpoints.
    key: Option<AuditKey>,
    /// How many lines no checkpoint covers.
    uncovered: u64,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Sent {
    /// How many of the lines that wait.
    pub(super) lines: usize,
    /// Whether the line about dropped lines is written.
    pub(super) has_dropped: bool,
    pub(super) result: io::Result<()>,
}

/// Is asked whether a slow reader is waited for.
pub(super) type Waits<'a> = &'a mut dyn FnMut() -> bool;

/// Where a sealed line comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Opening,
    Waiting,
    Dropped,
}

/// Sealed lines.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(ChainEnd, Origin)>,
    end: ChainEnd,
}

impl Batch {
    fn after(end: ChainEnd) -> Self {
        Self {
            bytes: Vec::new(),
            lines: Vec::new(),
            end,
        }
    }

    fn add(&mut self, fields: &[u8], origin: Origin) {
        self.end.seal(fields, &mut self.bytes);
        self.lines.push((self.end, origin));
    }
}

impl Sealer {
    /// Opens what the configuration names.
    ///
    /// # Errors
    ///
    /// If the file can't be used.
    pub(super) fn new(config: &AuditConfig) -> io::Result<Self> {
        let (sink, end, opened) = Sink::new(&config.target)?;
        Ok(Self {
            name: config.target.to_string(),
            sink,
            end,
            opened,
            key: config.key.clone(),
            uncovered: 0,
        })
    }

    /// Signs with another key from the next line on, which says so.
    pub(super) fn change_key(&mut self, key: Option<AuditKey>) {
        if key != self.key {
            self.key = key;
            self.opened.get_or_insert_default();
        }
    }

    /// Whether an opening line must be written.
    pub(super) fn must_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Whether there are lines after the last checkpoint.
    pub(super) fn needs_checkpoint(&self) -> bool {
        self.uncovered > 0
    }

    /// Takes up the file that has the name now. The one that was moved away ends with a checkpoint.
    pub(super) fn follow_file(&mut self, waits: Waits<'_>) -> io::Result<()> {
        match self.sink.gone() {
            None | Some(Gone::Unconnected) => return Ok(()),
            Some(Gone::Moved) if self.uncovered > 0 && self.opened.is_none() => {
                // It may have been moved away because its disk is full.
                if let Err(error) = self.checkpoint(waits) {
                    tracing::warn!(to = self.name, %error, "the audit file that was moved away has no last checkpoint");
                }
            }
            Some(Gone::Moved | Gone::Broken) => {}
        }
        self.opened = Some(self.sink.reopen()?);
        Ok(())
    }

    /// Looks for the reader of a socket, of which there may be none before the first line.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        if self.sink.gone() == Some(Gone::Unconnected) {
            self.opened = Some(self.sink.reopen()?);
        }
        Ok(())
    }

    /// Writes an opening line if it is needed, some of the lines that wait, and how many were dropped after them.
    pub(super) fn write(&mut self, waiting: &VecDeque<Vec<u8>>, lost: u64, waits: Waits<'_>) -> Sent {
        let mut batch = Batch::after(self.end);
        if let Some(opened) = &self.opened {
            batch.add(&opening(&self.end, self.key.as_ref(), opened.cut_off), Origin::Opening);
        }
        for line in waiting {
            if batch.bytes.len() >= MAX_WRITE {
                break;
            }
            batch.add(line, Origin::Waiting);
        }
        if lost > 0 {
            batch.add(&dropped(lost), Origin::Dropped);
        }
        self.send(&batch, waits)
    }

    /// Writes a checkpoint. If that fails, another one is to be written later.
    pub(super) fn checkpoint(&mut self, waits: Waits<'_>) -> io::Result<()> {
        let lines = self.uncovered;
        let mut batch = Batch::after(self.end);
        batch.add(&checkpoint(&self.end, self.key.as_ref()), Origin::Waiting);
        self.send(&batch, waits).result?;
        self.uncovered = 0;
        tracing::info!(to = self.name, checkpoint = %self.end, lines, "audit checkpoint");
        self.sink.keep(&self.end)
    }

    fn send(&mut self, batch: &Batch, waits: Waits<'_>) -> Sent {
        let failed = self.sink.write(&batch.bytes, waits).err();
        let whole = match &failed {
            None => batch.lines.len(),
            Some(WriteError { written, .. }) => {
                let written = batch.bytes.get(..*written).unwrap_or_default();
                written.iter().filter(|byte| **byte == b'\n').count()
            }
        };
        let mut sent = Sent {
            lines: 0,
            has_dropped: false,
            result: failed.map_or(Ok(()), |failed| Err(failed.error)),
        };
        for (end, origin) in batch.lines.iter().take(whole) {
            self.end = *end;
            self.uncovered += 1;
            match origin {
                Origin::Opening => self.log_opening(),
                Origin::Waiting => sent.lines += 1,
                Origin::Dropped => sent.has_dropped = true,
            }
        }
        sent
    }

    fn log_opening(&mut self) {
        let cut_off = self.opened.take().and_then(|opened| opened.cut_off);
        if let Some(cut_off) = cut_off {
            let bytes = cut_off.bytes();
            tracing::warn!(to = self.name, bytes, "the last audit line was cut off, as by a crash");
        }
        let public_key = self.key.as_ref().map(|key| key.public().to_string());
        tracing::info!(to = self.name, line = self.end.number, public_key, "audit log opened");
    }
}

/// How many bytes are written at once, or one line.
const MAX_WRITE: usize = 256 * 1024;
