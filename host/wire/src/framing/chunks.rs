//! Finds the end of a chunked body (RFC 9112, section 7.1). hyper rejects invalid bodies; this parser must only never
//! read past the end that hyper sees.

/// A parser for a chunked body that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: ChunkState,
    /// The size of the chunk as far as it is known, and then how many bytes of the chunk are missing.
    remaining: u64,
}

#[derive(Debug, Default)]
enum ChunkState {
    #[default]
    Size,
    /// After the size: spaces, extensions, and the end of the line.
    Extension,
    Data,
    /// The end of the line after a chunk.
    DataEnd,
    /// The beginning of a line after the last chunk.
    TrailerStart,
    Trailer,
}

/// The result of reading some bytes of a body.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The body ends after this many of the bytes.
    Ended(usize),
    /// The body doesn't end in these bytes.
    Incomplete,
    /// The bytes aren't a valid chunked body.
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

    /// Reads a byte that isn't data, and returns whether it was the last one of the body. `None` if it is invalid here.
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
    fn the_end_of_a_body_doesnt_depend_on_how_it_is_split() {
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
