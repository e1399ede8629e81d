//! Bounds the work of a check. A small schema can demand more steps than any machine can take.

/// The error of a check that exceeds its budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exhausted;

/// The work that is left.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    depth: u32,
}

impl Budget {
    /// The steps of one check, which take about a tenth of a second. Settings of a few thousand lines need a few ten
    /// thousand steps.
    const STEPS: u64 = 1_000_000;

    /// The deepest nesting of schemas while a value is checked. This bounds the stack.
    const DEPTH: u32 = 256;

    /// A full budget.
    pub(super) fn new() -> Self {
        Self {
            steps: Self::STEPS,
            depth: Self::DEPTH,
        }
    }

    /// Pays for this many steps.
    pub(super) fn pay(&mut self, steps: usize) -> Result<(), Exhausted> {
        let steps = u64::try_from(steps).map_err(|_| Exhausted)?;
        self.steps = self.steps.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    /// Pays for text that is read.
    pub(super) fn pay_for_text(&mut self, text: &str) -> Result<(), Exhausted> {
        self.pay(1 + text.len() / BYTES_A_STEP)
    }

    /// Enters a nested schema. Call [`ascend`](Self::ascend) after it.
    pub(super) fn descend(&mut self) -> Result<(), Exhausted> {
        self.pay(1)?;
        self.depth = self.depth.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }

    pub(super) fn ascend(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }
}

/// The bytes of text that are copied or compared in the time of one step.
const BYTES_A_STEP: usize = 64;
