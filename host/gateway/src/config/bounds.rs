//! Bounds of `[server]` on what a client may hold and for how long. A client that keeps to them costs memory that can be
//! told beforehand; one that doesn't is cut off.

use std::time::Duration;

use crate::config::reader::Table;
use crate::config::values;

/// Bounds on a client's connection, once the head of its first request is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a connection may be without a request.
    pub(crate) keepalive_timeout: Duration,
    /// How long a request's body may stand still while it is waited for.
    pub(crate) body_timeout: Duration,
    /// How long a client may take nothing of what it is sent.
    pub(crate) send_timeout: Duration,
    /// Most requests at once on a connection of HTTP/2.
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
    /// Takes its keys out of `[server]`. What isn't said has its default.
    pub(super) fn take(table: &mut Table<'_>) -> Self {
        let mut bounds = Self::default();
        for (key, bound) in [
            ("keepalive_timeout", &mut bounds.keepalive_timeout),
            ("body_timeout", &mut bounds.body_timeout),
            ("send_timeout", &mut bounds.send_timeout),
        ] {
            let said = table.take(key);
            if let Some(said) = said.and_then(|item| values::duration(item, MIN_TIMEOUT..=MAX_TIMEOUT)) {
                *bound = said;
            }
        }
        let streams = table.take("max_streams").and_then(|item| item.number(1, MAX_STREAMS));
        if let Some(streams) = streams.and_then(|streams| u32::try_from(streams).ok()) {
            bounds.max_streams = streams;
        }
        bounds
    }
}

const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_STREAMS: usize = 1000;
