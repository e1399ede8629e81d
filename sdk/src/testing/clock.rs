//! A clock that tests can set. Until then it shows the real time.

use std::time::Duration;
use std::time::SystemTime;

/// Shows the real time until it is set. From then on it stands still.
#[derive(Debug, Default)]
pub(super) struct Clock {
    set: Option<Duration>,
}

impl Clock {
    pub(super) const fn set(&mut self, since_epoch: Duration) {
        self.set = Some(since_epoch);
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.set = Some(self.since_epoch().saturating_add(by));
    }

    pub(super) fn since_epoch(&self) -> Duration {
        self.set.unwrap_or_else(real)
    }
}

pub(super) fn real() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
