//! A limit on the control frames of HTTP/2, which carry neither a request nor a body. The protocol allows any number of
//! them, and each costs work (CVE-2019-9512, 9514, 9515, 9518; CVE-2023-44487).

use std::time::Duration;
use std::time::Instant;

/// A parser for the frame heads of a connection that arrives in pieces. It charges control frames to a token bucket.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD_SIZE],
    /// How many bytes of the head have arrived.
    head_length: usize,
    /// How many bytes of the frame's payload are missing.
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
    /// Reads the next bytes. Returns `false` if the client has sent too many control frames.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.remaining.min(bytes.len());
            self.remaining -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            while self.remaining == 0
                && let [first, rest @ ..] = bytes
            {
                bytes = rest;
                if let Some(byte) = self.head.get_mut(self.head_length) {
                    *byte = *first;
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

    /// Gives tokens back for bytes that were sent to the client, so that it may acknowledge them.
    pub(super) fn sent(&mut self, bytes: usize) {
        let earned = u32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u32::MAX);
        self.bucket.tokens = self.bucket.tokens.saturating_add(earned).min(BURST);
    }

    /// Begins the frame whose head is complete (RFC 9113, section 4.1), and charges it.
    fn begin_frame(&mut self) -> bool {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.remaining = usize::try_from(length).unwrap_or(usize::MAX);
        let cost = match kind {
            DATA if self.remaining > 0 || flags & END_STREAM != 0 => 0,
            HEADERS => 0,
            RST_STREAM | SETTINGS => EXPENSIVE,
            _ => 1,
        };
        self.bucket.take(cost, Instant::now)
    }
}

/// The token bucket for a client's control frames.
#[derive(Debug)]
struct TokenBucket {
    tokens: u32,
    refilled_at: Instant,
}

impl TokenBucket {
    /// Takes tokens, if there are enough. The time is read only if there aren't.
    fn take(&mut self, cost: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.tokens < cost {
            self.refill(now());
        }
        let left = self.tokens.checked_sub(cost);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled_at);
        let earned = u32::try_from(elapsed.as_millis() / REFILL_PERIOD.as_millis()).unwrap_or(BURST);
        // Less than a period counts the next time.
        if earned > 0 {
            self.refilled_at = now;
        }
        self.tokens = self.tokens.saturating_add(earned).min(BURST);
    }
}

/// The size of a frame's head, in bytes.
const HEAD_SIZE: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// The bucket holds this many tokens, and gets one more in each period.
const BURST: u32 = 10_000;
const REFILL_PERIOD: Duration = Duration::from_millis(10);

/// A reset discards a request, and settings may change every stream.
const EXPENSIVE: u32 = 10;

/// More than the size of the response to a ping, so that no ping pays for the next one.
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
    fn control_frames_are_limited() {
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
            // On a slow machine, the bucket is refilled meanwhile.
            assert!((expected..expected + 1000).contains(&most), "{name}: {most}");
        }
    }

    #[test]
    fn requests_and_bodies_cost_nothing_however_they_are_split() {
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
    fn sent_bytes_give_tokens_back_but_the_response_to_a_ping_doesnt() {
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
    fn the_bucket_is_refilled_over_time() {
        let start = Instant::now();
        let mut bucket = TokenBucket {
            tokens: 3,
            refilled_at: start,
        };
        for (milliseconds, cost, taken, left) in [
            (0, 3, true, 0),
            (9, 1, false, 0),
            (19, 2, false, 1),
            (19, 1, true, 0),
            // The period that began at 19 ms isn't over.
            (28, 1, false, 0),
            (29, 1, true, 0),
            (179, 10, true, 5),
            (100_000_000, 10, true, BURST - 10),
        ] {
            let now = start + Duration::from_millis(milliseconds);
            assert_eq!(
                (bucket.take(cost, || now), bucket.tokens),
                (taken, left),
                "{milliseconds}"
            );
        }
        // With enough tokens, the time isn't read.
        assert!(bucket.take(BURST - 10, || panic!("the time was read")));
    }

    #[test]
    fn the_whole_payload_is_skipped() {
        for length in [0_usize, 1, 255, 256, 65_535, 65_536, 0x01_02_03, 0xff_ff_ff] {
            let [.., high, middle, low] = length.to_be_bytes();
            let mut frames = Frames::default();
            // Each byte of the payload would be a ping's head.
            let payload = [0, 0, 0, 6, 0, 0, 0, 0, 0].into_iter().cycle().take(length);
            let bytes = Vec::from_iter(
                [high, middle, low, DATA, END_STREAM, 0, 0, 0, 1]
                    .into_iter()
                    .chain(payload),
            );
            assert!(frames.read(&bytes));
            assert!(frames.read(&frame(6, 0, 8)));
            assert_eq!(frames.bucket.tokens, BURST - 1, "{length}");
        }
    }
}
