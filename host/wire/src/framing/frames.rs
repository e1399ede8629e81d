//! Frames of HTTP/2 that carry no request and no body. The protocol allows any number of them, each is work for the
//! gateway, and a client may send nothing else (CVE-2019-9512, 9514, 9515, 9518; CVE-2023-44487).

use std::time::Duration;
use std::time::Instant;

/// The frames of a connection as they come.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD_SIZE],
    /// How much of the head is there.
    head_length: usize,
    /// How much of the frame is still to come.
    remaining: usize,
    bucket: TokenBucket,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            head: [0; HEAD_SIZE],
            head_length: 0,
            remaining: 0,
            bucket: TokenBucket {
                tokens: BURST,
                refilled_at: Instant::now(),
            },
        }
    }
}

impl Frames {
    /// Goes on by these bytes. False: there are too many frames for nothing.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.remaining.min(bytes.len());
            self.remaining -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            while self.remaining == 0
                && let [first, rest @ ..] = bytes
            {
                bytes = rest;
                if let Some(place) = self.head.get_mut(self.head_length) {
                    *place = *first;
                }
                self.head_length += 1;
                if self.head_length == HEAD_SIZE {
                    self.head_length = 0;
                    if !self.begin_frame() {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// So many bytes went to the client. They are worth what it says of them: that there is room again, say.
    pub(super) fn sent(&mut self, bytes: usize) {
        let earned = u32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u32::MAX);
        self.bucket.tokens = self.bucket.tokens.saturating_add(earned).min(BURST);
    }

    /// Takes a frame by its head (RFC 9113, section 4.1).
    fn begin_frame(&mut self) -> bool {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.remaining = (usize::from(high) << 16) | (usize::from(middle) << 8) | usize::from(low);
        let cost = match kind {
            DATA if self.remaining > 0 || flags & END_STREAM != 0 => 0,
            HEADERS => 0,
            RST_STREAM | SETTINGS => EXPENSIVE,
            _ => 1,
        };
        self.bucket.take(cost)
    }
}

/// What a client has left of frames for nothing.
#[derive(Debug)]
struct TokenBucket {
    tokens: u32,
    refilled_at: Instant,
}

impl TokenBucket {
    fn take(&mut self, cost: u32) -> bool {
        if self.tokens < cost {
            let elapsed = self.refilled_at.elapsed();
            let earned = u32::try_from(elapsed.as_millis() / REFILL_PERIOD.as_millis()).unwrap_or(BURST);
            if earned > 0 {
                self.refilled_at = Instant::now();
            }
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
        }
        match self.tokens.checked_sub(cost) {
            Some(tokens) => self.tokens = tokens,
            None => return false,
        }
        true
    }
}

/// Bytes of a frame's head.
const HEAD_SIZE: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// So many frames may come at once, and one more after each period.
const BURST: u32 = 10_000;
const REFILL_PERIOD: Duration = Duration::from_millis(10);

/// A reset throws away a request, and settings may change every stream.
const EXPENSIVE: u32 = 10;

/// More than the answer to a ping, which must not pay for the next one.
const BYTES_PER_TOKEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD_SIZE + usize::from(length), 0);
        frame
    }

    fn most(kind: u8, flags: u8, length: u8) -> usize {
        let (mut frames, frame) = (Frames::default(), frame(kind, flags, length));
        (0..50_000).position(|_| !frames.read(&frame)).unwrap_or(50_000)
    }

    #[test]
    fn frames_for_nothing_come_to_an_end() {
        for (name, kind, length, cost) in [
            ("PING", 6, 8, 1),
            ("PRIORITY", 2, 5, 1),
            ("WINDOW_UPDATE", 8, 4, 1),
            ("unknown", 99, 200, 1),
            ("empty DATA", DATA, 0, 1),
            ("SETTINGS", SETTINGS, 6, 10),
            ("RST_STREAM", RST_STREAM, 4, 10),
        ] {
            let expected = 10_000 / cost;
            let most = most(kind, 0, length);
            // A slow machine earns some more meanwhile.
            assert!((expected..expected + 1000).contains(&most), "{name}: {most}");
        }
    }

    #[test]
    fn requests_and_bodies_cost_nothing_however_they_are_cut() {
        assert_eq!(most(HEADERS, 0, 20), 50_000);
        assert_eq!(most(DATA, 0, 1), 50_000);
        assert_eq!(most(DATA, END_STREAM, 0), 50_000);
        let mut frames = Frames::default();
        let ping = frame(6, 0, 8);
        for byte in ping.repeat(100) {
            assert!(frames.read(&[byte]));
        }
        assert_eq!(frames.bucket.tokens, BURST - 100);
    }

    #[test]
    fn what_is_sent_pays_for_what_is_said_of_it_but_no_pong_for_a_ping() {
        let mut frames = Frames::default();
        let (ping, pong) = (frame(6, 0, 8), frame(6, 1, 8).len());
        for _ in 0..1000 {
            assert!(frames.read(&ping));
            frames.sent(pong);
        }
        assert_eq!(frames.bucket.tokens, BURST - 1000);
        frames.sent(16 * 1024);
        assert_eq!(frames.bucket.tokens, BURST - 1000 + 256);
    }

    #[test]
    fn time_brings_some_back() {
        let mut bucket = TokenBucket {
            tokens: 0,
            refilled_at: Instant::now(),
        };
        assert!(!bucket.take(1));
        let Some(past) = bucket.refilled_at.checked_sub(REFILL_PERIOD * 5) else {
            return;
        };
        bucket.refilled_at = past;
        assert!(bucket.take(5));
    }
}
