//! When the TLS handshake of a connection took place, for the trace of its first request.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

/// The TLS handshake of a connection.
#[derive(Debug)]
pub(crate) struct TlsHandshake {
    began: SystemTime,
    elapsed: Duration,
    is_told: AtomicBool,
}

impl TlsHandshake {
    /// A handshake that began then, and took so long.
    pub(crate) fn new(began: SystemTime, elapsed: Duration) -> Self {
        let is_told = AtomicBool::new(false);
        Self {
            began,
            elapsed,
            is_told,
        }
    }

    /// When it began, and how long it took. `None` if it was told before.
    pub(super) fn tell(&self) -> Option<(SystemTime, Duration)> {
        let is_told = self.is_told.swap(true, Ordering::Relaxed);
        (!is_told).then_some((self.began, self.elapsed))
    }
}
