//! The gateway's wall clock. In tests, the fake gateway sets it.

use std::time::Duration;
use std::time::SystemTime;

use crate::host;

/// The current time.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + since_epoch()
}

/// The current time in whole seconds since 1970-01-01 UTC: the `NumericDate` of RFC 7519, section 2.
pub fn unix_seconds() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    host::since_epoch()
}
