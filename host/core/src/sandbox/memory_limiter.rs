//! The limit on the memory and the table entries of one instance, over all its memories and tables together. With a
//! limit for each memory, a component with several memories would get a multiple of it.

use wasmtime::ResourceLimiter;

use super::budget::Share;

/// The most table entries of one instance; an entry is eight bytes. Python's interpreter has about twenty thousand.
const MAX_TABLE_ENTRIES: usize = 100_000;

/// The most memories of one instance. A component has one for its code and may have one for an adapter.
const MAX_MEMORIES: usize = 2;

/// The most tables of one instance.
const MAX_TABLES: usize = 100;

/// The most core instances of one component instance.
const MAX_INSTANCES: usize = 200;

/// What is left of the limits of one instance.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    limit: usize,
    memory: usize,
    table_entries: usize,
    hit_memory: bool,
    share: Share,
    hit_budget: bool,
    hit_system: bool,
}

impl MemoryLimiter {
    /// A limit of `memory` bytes. `share` is the instance's part of the budget for all instances.
    pub(super) const fn new(memory: usize, share: Share) -> Self {
        Self {
            limit: memory,
            memory,
            table_entries: MAX_TABLE_ENTRIES,
            hit_memory: false,
            share,
            hit_budget: false,
            hit_system: false,
        }
    }

    /// How many bytes of its own limit are left.
    pub(super) const fn left(&self) -> usize {
        self.memory
    }

    /// How many bytes the instance has.
    pub(super) const fn taken(&self) -> usize {
        self.limit - self.memory
    }

    /// Whether the instance was refused memory because the system had none.
    pub(super) const fn hit_system(&self) -> bool {
        self.hit_system
    }

    /// Whether the instance was refused memory because the budget for all instances was exhausted.
    pub(super) const fn hit_budget(&self) -> bool {
        self.hit_budget
    }

    /// Whether the instance was refused memory, for whatever reason.
    pub(super) const fn was_refused(&self) -> bool {
        self.hit_memory || self.hit_budget || self.hit_system
    }

    /// Whether the instance was refused memory because of its own limit.
    pub(super) const fn hit_memory(&self) -> bool {
        self.hit_memory
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let left = self.memory;
        if !take(&mut self.memory, current, desired, maximum) {
            self.hit_memory = true;
            return Ok(false);
        }
        if !self.share.take(left - self.memory) {
            self.memory = left;
            self.hit_budget = true;
            return Ok(false);
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.hit_system = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(take(&mut self.table_entries, current, desired, maximum))
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }
}

/// Takes the growth from what is left. A growth beyond the component's own maximum fails and takes nothing.
fn take(left: &mut usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    let within = maximum.is_none_or(|maximum| desired <= maximum);
    let growth = desired.saturating_sub(current);
    match left.checked_sub(growth).filter(|_| within) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::budget::Budget;
    use super::*;

    fn limiter(memory: usize, budget: usize) -> MemoryLimiter {
        MemoryLimiter::new(memory, Share::of(Arc::new(Budget::new(budget))))
    }

    #[test]
    fn growth_that_the_budget_refuses_costs_the_instance_nothing() {
        let mut limiter = limiter(100, 60);
        for (current, desired, granted) in [(0, 50, true), (50, 90, false), (50, 60, true), (60, 61, false)] {
            let grown = limiter.memory_growing(current, desired, None).unwrap();
            assert_eq!(grown, granted, "{current} {desired}");
        }
        assert!(limiter.hit_budget() && !limiter.hit_memory());
    }

    #[test]
    fn all_memories_together_stay_within_the_limit() {
        let mut limiter = limiter(100, 1000);
        for (current, desired, maximum, granted) in [
            (0, 60, None, true),
            (0, 50, None, false),
            (0, 30, Some(20), false),
            (0, 30, Some(30), true),
            (60, 70, None, true),
            (30, 31, None, false),
        ] {
            let grown = limiter.memory_growing(current, desired, maximum).unwrap();
            assert_eq!(grown, granted, "{current} {desired} {maximum:?}");
        }
        assert!(limiter.hit_memory());
    }
}
