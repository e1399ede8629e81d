//! What is lost is told: in the log, at most every ten seconds, and by a line in the chain where lines are missing.

use std::time::Duration;
use std::time::Instant;

use super::queue::Load;

/// Lines and requests that were lost.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Lines that the chain doesn't tell of yet.
    unrecorded: u64,
    untold_lines: u64,
    untold_requests: u64,
    told: Option<Instant>,
}

impl Losses {
    /// Takes up what was lost, and logs it unless that was done lately.
    pub(super) fn note(&mut self, load: &Load) {
        let (lines, requests) = load.take_losses();
        self.unrecorded = self.unrecorded.saturating_add(lines);
        self.untold_lines = self.untold_lines.saturating_add(lines);
        self.untold_requests = self.untold_requests.saturating_add(requests);
        if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.tell();
        }
    }

    /// Logs what wasn't logged yet.
    pub(super) fn tell(&mut self) {
        let (lines, requests) = (self.untold_lines, self.untold_requests);
        if lines > 0 {
            tracing::error!(
                dropped = lines,
                "audit lines were dropped, because too many wait to be written"
            );
        }
        if requests > 0 {
            tracing::error!(
                refused = requests,
                "requests were refused, because too many audit lines wait to be written"
            );
        }
        if lines > 0 || requests > 0 {
            self.told = Some(Instant::now());
        }
        (self.untold_lines, self.untold_requests) = (0, 0);
    }

    /// How many lines the chain must tell of.
    pub(super) fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    /// The chain tells of these lines.
    pub(super) fn record(&mut self, lines: u64) {
        self.unrecorded = self.unrecorded.saturating_sub(lines);
    }
}

/// How long nothing is told after something was.
const PAUSE: Duration = Duration::from_secs(10);
