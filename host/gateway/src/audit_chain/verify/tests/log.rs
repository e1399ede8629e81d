//! A log that a test writes, and changes.

use super::super::Line;
use crate::audit_chain::AuditKey;
use crate::audit_chain::ChainEnd;
use crate::audit_chain::CutOff;
use crate::audit_chain::checkpoint;
use crate::audit_chain::opening;

/// A log, line by line. Each ends with a line break.
#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) lines: Vec<Vec<u8>>,
    pub(super) end: ChainEnd,
    pub(super) key: Option<AuditKey>,
}

impl Log {
    pub(super) fn signed_by(key: &AuditKey) -> Self {
        Self {
            key: Some(key.clone()),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, fields: &[u8]) {
        let mut line = Vec::new();
        self.end.seal(fields, &mut line);
        self.lines.push(line);
    }

    pub(super) fn open(mut self, cut_off: Option<CutOff>) -> Self {
        self.add(&opening(&self.end.clone(), self.key.clone().as_ref(), cut_off));
        self
    }

    pub(super) fn events(mut self, count: usize) -> Self {
        (0..count).for_each(|number| self.add(format!("\"message\":\"decision\",\"user\":\"{number}\"").as_bytes()));
        self
    }

    pub(super) fn checkpoint(mut self) -> Self {
        self.add(&checkpoint(&self.end.clone(), self.key.clone().as_ref()));
        self
    }

    /// The log with the lines up to now in one file, and the next ones in another.
    pub(super) fn next_file(&self) -> Self {
        Self {
            lines: Vec::new(),
            ..self.clone()
        }
    }

    /// Writes the hashes anew, as somebody can who knows how they are made, but has no key.
    pub(super) fn hashed_anew(&self, from: usize) -> Self {
        let mut log = Self {
            lines: self.lines[..from].to_vec(),
            end: ChainEnd::default(),
            key: None,
        };
        if let Some(line) = log.lines.last().and_then(|line| Line::parse(&line[..line.len() - 1])) {
            log.end = ChainEnd {
                number: line.number(),
                hash: line.hash,
            };
        }
        for line in &self.lines[from..] {
            let text = Line::parse(&line[..line.len() - 1]).unwrap().text;
            let fields = text.splitn(2, |byte| *byte == b',').nth(1).unwrap().to_vec();
            log.add(&fields);
        }
        log
    }
}
