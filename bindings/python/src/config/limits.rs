//! `limits`: the resources that the calls of a plugin may use, and how often it is called.

use std::num::NonZero;
use std::time::Duration;

use portcullis::Limits;

use super::table::Table;

/// Reads the table. Missing keys have their defaults.
pub(super) fn read(mut table: Table<'_>) -> Limits {
    let mut limits = Limits::default();
    let deadline = table.take("deadline");
    if let Some(deadline) = deadline.and_then(|item| item.duration(MIN_DEADLINE..=MAX_DEADLINE)) {
        limits.deadline = deadline;
    }
    let memory = table.take("memory");
    if let Some(memory) = memory.and_then(|item| item.size(MIN_MEMORY..=Limits::MAX_MEMORY)) {
        limits.memory = memory;
    }
    if let Some(cache) = table.take("cache").and_then(|item| item.size(0..=MAX_CACHE)) {
        limits.cache = cache;
    }
    let concurrency = table.take("concurrency");
    if let Some(concurrency) = concurrency.and_then(|item| item.number(1, MAX_CONCURRENCY)) {
        limits.concurrency = concurrency;
    }
    let rate = table.take("rate");
    limits.rate = rate.and_then(|item| item.parse("a rate, such as \"20/s\" or \"300/m\"", |text| text.parse().ok()));
    if let Some(failures) = table.take("breaker").and_then(|item| item.number(0, MAX_FAILURES)) {
        limits.breaker = u32::try_from(failures).ok().and_then(NonZero::new);
    }
    let reuse = table.take("reuse_decisions");
    if let Some(longest) = reuse.and_then(|item| item.duration(Duration::ZERO..=MAX_REUSE)) {
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
