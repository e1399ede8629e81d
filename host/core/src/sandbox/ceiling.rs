//! How much memory and how many table entries one instance may have, over all its memories and tables together. A
//! bound on each memory alone would be as many times as large as a component has memories.

use wasmtime::ResourceLimiter;

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
}

impl Ceiling {
    /// A ceiling of so many bytes of memory.
    pub(super) const fn new(memory: usize) -> Self {
        Self {
            memory,
            table_entries: MAX_TABLE_ENTRIES,
            hit_memory: false,
        }
    }

    /// Whether the instance was refused memory. A plugin then mostly aborts, and this says why.
    pub(super) const fn hit_memory(&self) -> bool {
        self.hit_memory
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = take(&mut self.memory, current, desired, maximum);
        self.hit_memory |= !grown;
        Ok(grown)
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
    use super::*;

    #[test]
    fn all_memories_together_stay_below_the_ceiling() {
        let mut ceiling = Ceiling::new(100);
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
