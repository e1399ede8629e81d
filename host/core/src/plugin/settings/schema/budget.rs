//! How much work a check may take. A small schema can ask for more steps than any machine can take.

/// The check took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exhausted;

/// What is left of the work.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    depth: u32,
}

impl Budget {
    /// Settings of a few thousand lines need a few ten thousand steps; these take about a tenth of a second.
    const STEPS: u64 = 1_000_000;

    /// How deep schemas may lie in each other while one value is checked. This bounds the stack.
    const DEPTH: u32 = 256;

    /// A whole budget.
    pub(super) fn new() -> Self {
        Self {
            steps: Self::STEPS,
            depth: Self::DEPTH,
        }
    }

    /// Pays for so many steps.
    pub(super) fn pay(&mut self, steps: usize) -> Result<(), Exhausted> {
        let steps = u64::try_from(steps).map_err(|_| Exhausted)?;
        self.steps = self.steps.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    /// Pays for text that is read.
    pub(super) fn pay_for_text(&mut self, text: &str) -> Result<(), Exhausted> {
        self.pay(1 + text.len() / BYTES_A_STEP)
    }

    /// Goes one schema deeper. [`ascend`](Self::ascend) is to follow.
    pub(super) fn descend(&mut self) -> Result<(), Exhausted> {
        self.pay(1)?;
        self.depth = self.depth.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }

    pub(super) fn ascend(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }
}

/// How much text is copied or compared in the time of a step.
const BYTES_A_STEP: usize = 64;
