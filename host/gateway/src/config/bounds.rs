//! The keys of `[server]` that limit what a client may use and for how long. They bound the memory that a client can take;
//! a client that exceeds them is cut off.

use std::time::Duration;

use portcullis_loader::config::reader::Table;

/// The limits on a client's connection after it has sent the head of its first request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a connection may be idle.
    pub(crate) keepalive_timeout: Duration,
    /// How long the body of a request may pause.
    pub(crate) body_timeout: Duration,
    /// How long a client may read nothing of a response.
    pub(crate) send_timeout: Duration,
    /// The maximum number of concurrent requests on an HTTP/2 connection.
    pub(crate) max_streams: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            keepalive_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(60),
            max_streams: 128,
        }
    }
}

impl Bounds {
    /// Takes the keys out of `[server]`. Missing keys have their defaults.
    pub(super) fn take(table: &mut Table<'_>) -> Self {
        let mut bounds = Self::default();
        for (key, bound) in [
            ("keepalive_timeout", &mut bounds.keepalive_timeout),
            ("body_timeout", &mut bounds.body_timeout),
            ("send_timeout", &mut bounds.send_timeout),
        ] {
            *bound = table.duration(key, *bound, MIN_TIMEOUT..=MAX_TIMEOUT);
        }
        let streams = table.number("max_streams", bounds.max_streams as usize, 1..=MAX_STREAMS);
        bounds.max_streams = u32::try_from(streams).unwrap_or(bounds.max_streams);
        bounds
    }
}

const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_STREAMS: usize = 1000;
