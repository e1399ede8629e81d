//! How much memory and how many table entries one instance may have, over all its memories and tables together. A
//! bound on each memory alone would be as many times as large as a component has memories.

use wasmtime::ResourceLimiter;

use super::budget::Share;

/// Most table entries of one instance; an entry is eight bytes. Python's interpreter has about twenty thousand.
const MAX_TABLE_ENTRIES: usize = 100_000;

/// Most memories of one instance. A toolchain's component has one, and an adapter inside it has another.
const MAX_MEMORIES: usize = 2;

/// Most tables of one instance.
const MAX_TABLES: usize = 100;

/// Most core instances of one component instance.
const MAX_INSTANCES: usize = 200;

/// What an instance may still grow by.
#[derive(Debug)]
pub(super) struct Ceiling {
    memory: usize,
    table_entries: usize,
    hit_memory: bool,
    share: Share,
    hit_budget: bool,
}

impl Ceiling {
    /// A ceiling of so many bytes of memory, under that of all instances together.
    pub(super) const fn new(memory: usize, share: Share) -> Self {
        Self {
            memory,
            table_entries: MAX_TABLE_ENTRIES,
            hit_memory: false,
            share,
            hit_budget: false,
        }
    }

    /// Whether the instance was refused memory because of what others have.
    pub(super) const fn hit_budget(&self) -> bool {
        self.hit_budget
    }

    /// Whether the instance was refused memory. A plugin then mostly aborts, and this says why.
    pub(super) const fn hit_memory(&self) -> bool {
        self.hit_memory
    }
}

impl ResourceLimiter for Ceiling {
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

/// Takes the growth out of what is left. What would fail all the same, by the component's own maximum, costs nothing.
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

    fn ceiling(memory: usize, budget: usize) -> Ceiling {
        Ceiling::new(memory, Share::of(Arc::new(Budget::new(budget))))
    }

    #[test]
    fn an_instance_that_gets_no_share_keeps_what_it_may_have() {
        let mut ceiling = ceiling(100, 60);
        for (current, desired, granted) in [(0, 50, true), (50, 90, false), (50, 60, true), (60, 61, false)] {
            let grown = ceiling.memory_growing(current, desired, None).unwrap();
            assert_eq!(grown, granted, "{current} {desired}");
        }
        assert!(ceiling.hit_budget() && !ceiling.hit_memory());
    }

    #[test]
    fn all_memories_together_stay_below_the_ceiling() {
        let mut ceiling = ceiling(100, 1000);
        for (current, desired, maximum, granted) in [
            (0, 60, None, true),
            (0, 50, None, false),
            (0, 30, Some(20), false),
            (0, 30, Some(30), true),
            (60, 70, None, true),
            (30, 31, None, false),
        ] {
            let grown = ceiling.memory_growing(current, desired, maximum).unwrap();
            assert_eq!(grown, granted, "{current} {desired} {maximum:?}");
        }
        assert!(ceiling.hit_memory());
    }
}
