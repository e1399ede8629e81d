//! `[authenticators.NAME.limits]`: the resources that the calls of a plugin may use, and how often it is called.

use std::num::NonZero;
use std::time::Duration;

use portcullis::Limits;

use crate::config::reader::Table;
use crate::config::values;

/// Reads the table. Missing keys have their defaults.
pub(super) fn read(mut table: Table<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(deadline) = table
        .take("deadline")
        .and_then(|item| values::duration(item, MIN_DEADLINE..=MAX_DEADLINE))
    {
        limits.deadline = deadline;
    }
    if let Some(memory) = table
        .take("memory")
        .and_then(|item| values::size(item, MIN_MEMORY..=Limits::MAX_MEMORY))
    {
        limits.memory = memory;
    }
    if let Some(cache) = table.take("cache").and_then(|item| values::size(item, 0..=MAX_CACHE)) {
        limits.cache = cache;
    }
    if let Some(concurrency) = table
        .take("concurrency")
        .and_then(|item| item.number(1, MAX_CONCURRENCY))
    {
        limits.concurrency = concurrency;
    }
    limits.rate = table
        .take("rate")
        .and_then(|item| item.parse("a rate, such as \"20/s\" or \"300/m\"", |text| text.parse().ok()));
    if let Some(failures) = table.take("breaker").and_then(|item| item.number(0, MAX_FAILURES)) {
        limits.breaker = u32::try_from(failures).ok().and_then(NonZero::new);
    }
    if let Some(longest) = table
        .take("reuse_decisions")
        .and_then(|item| values::duration(item, Duration::ZERO..=MAX_REUSE))
    {
        limits.reuse_decisions = longest;
    }
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
