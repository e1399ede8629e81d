//! Where sealed lines go: to a file or to a socket.

use std::io;

use super::file::AuditFile;
use super::socket::AuditSocket;
use crate::audit_chain::ChainEnd;
use crate::audit_chain::CutOff;
use crate::config::AuditTarget;

/// A file or a socket.
#[derive(Debug)]
pub(super) enum Sink {
    File(Box<AuditFile>),
    Socket(AuditSocket),
}

/// Why a sink must be opened again before it can be written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gone {
    /// The file was moved away. What is open can still be written to.
    Moved,
    /// The file isn't as it was left.
    Broken,
    /// Nothing is connected. This matters only if there are lines.
    Unconnected,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct WriteError {
    /// How many bytes were written nevertheless.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

/// What the first line after a sink was opened tells.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The line that was cut off at the end of the file.
    pub(super) cut_off: Option<CutOff>,
}

impl Sink {
    /// Opens a file, or prepares to connect to a socket. Returns also the end of the chain that goes on there.
    ///
    /// # Errors
    ///
    /// If the file can't be used. A socket may have a reader later.
    pub(super) fn new(target: &AuditTarget) -> io::Result<(Self, ChainEnd, Option<Opened>)> {
        match target {
            AuditTarget::File(path) => {
                let (file, end, opened) = AuditFile::open(path)?;
                Ok((Self::File(Box::new(file)), end, Some(opened)))
            }
            AuditTarget::Socket(path) => Ok((Self::Socket(AuditSocket::new(path)), ChainEnd::default(), None)),
        }
    }

    /// Whether [`Sink::reopen`] is needed, and why.
    pub(super) fn gone(&self) -> Option<Gone> {
        match self {
            Self::File(file) => file.gone(),
            Self::Socket(socket) => (!socket.is_connected()).then_some(Gone::Unconnected),
        }
    }

    /// Opens the file that has the name now, or connects.
    pub(super) fn reopen(&mut self) -> io::Result<Opened> {
        match self {
            Self::File(file) => file.reopen(),
            Self::Socket(socket) => socket.connect().map(|()| Opened::default()),
        }
    }

    /// Writes whole lines. A socket waits for its reader as long as `waits`, which it asks now and then, returns true.
    pub(super) fn write(&mut self, lines: &[u8], waits: &mut dyn FnMut() -> bool) -> Result<(), WriteError> {
        match self {
            Self::File(file) => file.write(lines),
            Self::Socket(socket) => socket.write(lines, waits),
        }
    }

    /// Makes what was written outlast a crash of the machine.
    pub(super) fn keep(&mut self, end: &ChainEnd) -> io::Result<()> {
        match self {
            Self::File(file) => file.keep(end),
            Self::Socket(_) => Ok(()),
        }
    }
}
