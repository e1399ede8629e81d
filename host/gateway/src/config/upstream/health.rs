//! `[upstreams.NAME.health]`: active health checks. Without the section, only failed requests show that a server is down.

use std::time::Duration;

use http::uri::PathAndQuery;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;

/// Active health checks, which send GET requests to each server at regular intervals.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HealthConfig {
    /// The path that is requested.
    pub(crate) path: PathAndQuery,
    /// The time from the end of one check to the next.
    pub(crate) interval: Duration,
    /// How long one check may take, including its connection.
    pub(crate) timeout: Duration,
    /// After how many successful checks in a row a server counts as healthy.
    pub(crate) healthy: usize,
    /// After how many failed checks in a row a server counts as unhealthy.
    pub(crate) unhealthy: usize,
}

impl HealthConfig {
    /// Returns `None` if `path` is missing or wrong.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let path = table.require("path").and_then(path);
        let interval = table.duration("interval", DEFAULT_INTERVAL, MIN_PERIOD..=MAX_INTERVAL);
        let timeout = table.duration("timeout", DEFAULT_TIMEOUT, MIN_PERIOD..=MAX_TIMEOUT);
        let healthy = table.number("healthy", DEFAULT_HEALTHY, 1..=MAX_STREAK);
        let unhealthy = table.number("unhealthy", DEFAULT_UNHEALTHY, 1..=MAX_STREAK);
        table.finish();
        Some(Self {
            path: path?,
            interval,
            timeout,
            healthy,
            unhealthy,
        })
    }
}

fn path(item: Item<'_>) -> Option<PathAndQuery> {
    item.parse("a path that starts with a slash, such as \"/healthz\"", |text| {
        let path = text.parse::<PathAndQuery>().ok()?;
        (text.starts_with('/') && !text.contains('#')).then_some(path)
    })
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_HEALTHY: usize = 2;
const DEFAULT_UNHEALTHY: usize = 3;

const MIN_PERIOD: Duration = Duration::from_millis(100);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_STREAK: usize = 100;
