//! Regular expressions of `pattern` and `patternProperties`. They are matched in linear time, so they have neither
//! look-around nor back-references.

use regex_lite::Regex;
use regex_lite::RegexBuilder;

use super::budget::Budget;
use super::budget::Exhausted;

/// A regular expression, and how much work it is to match.
#[derive(Debug)]
pub(super) struct Pattern<'s> {
    text: &'s str,
    regex: Regex,
    steps_a_byte: usize,
}

/// Bytes that a compiled expression may take, per step that each byte of a text costs.
const SIZE_A_STEP: usize = 1024;

/// What it costs to compile an expression, per kilobyte that it may take.
const STEPS_TO_COMPILE: usize = 16;

/// The largest expression takes 64 KiB.
const STEPS_A_BYTE: [usize; 4] = [1, 4, 16, 64];

impl<'s> Pattern<'s> {
    /// Compiles an expression. `None` if it isn't one, or too large.
    pub(super) fn compile(text: &'s str, budget: &mut Budget) -> Result<Option<Self>, Exhausted> {
        // Its size isn't told, so it is the smallest limit within which it can be compiled.
        for steps_a_byte in STEPS_A_BYTE {
            budget.pay_for_text(text)?;
            budget.pay(STEPS_TO_COMPILE * steps_a_byte)?;
            let limit = steps_a_byte * SIZE_A_STEP;
            if let Ok(regex) = RegexBuilder::new(text).size_limit(limit).build() {
                return Ok(Some(Self {
                    text,
                    regex,
                    steps_a_byte,
                }));
            }
        }
        Ok(None)
    }

    /// The expression as it is written.
    pub(super) fn as_str(&self) -> &'s str {
        self.text
    }

    /// Whether some part of a text matches.
    pub(super) fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, Exhausted> {
        budget.pay((text.len() + 1).saturating_mul(self.steps_a_byte))?;
        Ok(self.regex.is_match(text))
    }
}
