//! `[authenticators.NAME.limits]`: the resources that the calls of a plugin may use, and how often it is called.

use std::num::NonZero;
use std::time::Duration;

use portcullis::Limits;

use crate::config::reader::Table;

/// Reads the table. Missing keys have their defaults.
pub(super) fn read(mut table: Table<'_>) -> Limits {
    let mut limits = Limits::default();
    limits.deadline = table.duration("deadline", limits.deadline, MIN_DEADLINE..=MAX_DEADLINE);
    limits.memory = table.size("memory", limits.memory, MIN_MEMORY..=Limits::MAX_MEMORY);
    limits.cache = table.size("cache", limits.cache, 0..=MAX_CACHE);
    limits.concurrency = table.number("concurrency", limits.concurrency, 1..=MAX_CONCURRENCY);
    limits.rate = table
        .take("rate")
        .and_then(|item| item.parse("a rate, such as \"20/s\" or \"300/m\"", |text| text.parse().ok()));
    let failures = limits.breaker.map_or(0, |failures| failures.get() as usize);
    let failures = table.number("breaker", failures, 0..=MAX_FAILURES);
    limits.breaker = u32::try_from(failures).ok().and_then(NonZero::new);
    limits.reuse_decisions = table.duration("reuse_decisions", limits.reuse_decisions, Duration::ZERO..=MAX_REUSE);
    table.finish();
    limits
}

const MIN_DEADLINE: Duration = Duration::from_millis(10);
const MAX_DEADLINE: Duration = Duration::from_secs(60);
const MIN_MEMORY: usize = 1 << 20;
const MAX_REUSE: Duration = Duration::from_secs(24 * 3600);
const MAX_CACHE: usize = 1 << 30;
const MAX_CONCURRENCY: usize = 10_000;
const MAX_FAILURES: usize = 10_000;
