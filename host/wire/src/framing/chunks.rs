//! Where a chunked body ends (RFC 9112, section 7.1). What is wrong in it hyper refuses; here it only must not lead
//! past the end that hyper sees.

/// A chunked body as it comes.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: ChunkState,
    /// The size of the chunk that begins, or how much of it is still to come.
    remaining: u64,
}

#[derive(Debug, Default)]
enum ChunkState {
    #[default]
    Size,
    /// After the size: spaces, extensions, the end of the line.
    Extension,
    Data,
    /// The line end after a chunk.
    DataEnd,
    /// A line after the last chunk, empty so far.
    TrailerStart,
    Trailer,
}

/// What the bytes of a body amount to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The body ended after this many of them.
    Ended(usize),
    /// It goes on.
    Incomplete,
    /// It is no chunked body.
    Invalid,
}

impl Chunks {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if let ChunkState::Data = self.state {
                let rest = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX);
                let taken = rest.min(self.remaining);
                self.remaining -= taken;
                at += usize::try_from(taken).unwrap_or(usize::MAX);
                if self.remaining == 0 {
                    self.state = ChunkState::DataEnd;
                }
                continue;
            }
            at += 1;
            match self.step(byte) {
                Some(false) => {}
                Some(true) => return Progress::Ended(at),
                None => return Progress::Invalid,
            }
        }
        Progress::Incomplete
    }

    /// Takes a byte that is no data, and says whether it was the last; none: it can't stand here.
    fn step(&mut self, byte: u8) -> Option<bool> {
        self.state = match (&self.state, byte) {
            (ChunkState::Size | ChunkState::Extension, b'\n') if self.remaining == 0 => ChunkState::TrailerStart,
            (ChunkState::Size | ChunkState::Extension, b'\n') => ChunkState::Data,
            (ChunkState::Size, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16)?;
                self.remaining = self.remaining.checked_mul(16)?.checked_add(digit.into())?;
                ChunkState::Size
            }
            (ChunkState::Size | ChunkState::Extension, _) => ChunkState::Extension,
            (ChunkState::Data | ChunkState::DataEnd, b'\n') => ChunkState::Size,
            (ChunkState::Data | ChunkState::DataEnd, _) => ChunkState::DataEnd,
            (ChunkState::TrailerStart, b'\n') => return Some(true),
            (ChunkState::Trailer, b'\n') | (ChunkState::TrailerStart, b'\r') => ChunkState::TrailerStart,
            (ChunkState::TrailerStart | ChunkState::Trailer, _) => ChunkState::Trailer,
        };
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_it_says_in_whatever_pieces_it_comes() {
        for (body, end) in [
            ("0\r\n\r\n", 5),
            ("5\r\nhello\r\n0\r\n\r\nGET", 15),
            ("A;x=5\r\n0123\n\r\n\r\n9\r\n0 \t;y\r\nX: 1\r\nY: 2\r\n\r\nrest", 40),
            ("00000a\r\n0123456789\r\n000\r\n\r\n", 27),
        ] {
            assert_eq!(
                Chunks::default().read(body.as_bytes()),
                Progress::Ended(end),
                "{body:?}"
            );
            let mut chunks = Chunks::default();
            let ended = body.bytes().position(|byte| chunks.read(&[byte]) == Progress::Ended(1));
            assert_eq!(ended, Some(end - 1), "{body:?}");
        }
        assert_eq!(Chunks::default().read(b"5\r\nhello\r\n"), Progress::Incomplete);
        assert_eq!(Chunks::default().read(b"10000000000000000\r\n"), Progress::Invalid);
    }
}
