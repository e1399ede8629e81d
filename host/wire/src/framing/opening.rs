//! The first bytes of a connection, which tell its protocol. They are kept until hyper reads them.

use tokio::io::ReadBuf;

use super::PREFACE;

/// The bytes that were read to tell the protocol.
#[derive(Debug, Default)]
pub(super) struct Opening {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    read: usize,
}

impl Opening {
    /// How many more bytes it keeps. Not zero as long as the protocol isn't known.
    pub(super) fn room(&self) -> usize {
        self.bytes.len() - self.filled
    }

    /// Adds bytes, at most as many as there is room for.
    pub(super) fn add(&mut self, received: &[u8]) {
        let free = self.bytes.get_mut(self.filled..).unwrap_or_default();
        for (kept, byte) in free.iter_mut().zip(received) {
            *kept = *byte;
            self.filled += 1;
        }
    }

    /// Moves the bytes into a buffer, as many as fit.
    pub(super) fn read(&mut self, buffer: &mut ReadBuf<'_>) {
        let left = self.bytes.get(self.read..self.filled).unwrap_or_default();
        let (given, _) = left.split_at_checked(buffer.remaining()).unwrap_or((left, &[]));
        buffer.put_slice(given);
        self.read += given.len();
    }
}
