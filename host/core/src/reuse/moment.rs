//! A point in time on both clocks. The monotonic one stands still while the machine is suspended, and the other one can be
//! set, so that time has passed when either says so.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The moment `time` before this one.
    #[cfg(test)]
    pub(super) fn before(self, time: Duration) -> Self {
        Self {
            monotonic: self.monotonic - time,
            wall: self.wall - time,
        }
    }

    /// How much time has passed since an earlier moment. `None` if the clock was set back in between, so that what was
    /// found out at the earlier one may not hold any more.
    pub(super) fn since(self, earlier: Self) -> Option<Duration> {
        let wall = self.wall.duration_since(earlier.wall).ok()?;
        Some(self.monotonic.saturating_duration_since(earlier.monotonic).max(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_passed_when_either_clock_says_so() {
        const HOUR: Duration = Duration::from_secs(3600);
        let now = Moment::now();
        let later = |monotonic, wall| Moment {
            monotonic: now.monotonic + monotonic,
            wall,
        };
        for (passed, case) in [
            (Some(Duration::ZERO), now),
            (Some(HOUR), later(HOUR, now.wall + HOUR)),
            (Some(HOUR), later(HOUR, now.wall)),
            (Some(HOUR), later(Duration::ZERO, now.wall + HOUR)),
            (None, later(HOUR, now.wall - HOUR)),
        ] {
            assert_eq!(case.since(now), passed, "{case:?}");
        }
    }
}
