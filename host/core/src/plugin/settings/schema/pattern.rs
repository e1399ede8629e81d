//! The regular expressions of `pattern` and `patternProperties`. They are matched in linear time and therefore support
//! neither look-around nor back-references.

use regex_lite::Regex;
use regex_lite::RegexBuilder;

use super::budget::Budget;
use super::budget::Exhausted;

/// A regular expression with the cost of matching it.
#[derive(Debug)]
pub(super) struct Pattern<'s> {
    text: &'s str,
    regex: Regex,
    steps_a_byte: usize,
}

/// The bytes of a compiled expression for which each byte of a text costs one step.
const SIZE_A_STEP: usize = 1024;

/// The steps for compiling an expression, for each kilobyte of its size limit.
const STEPS_TO_COMPILE: usize = 16;

/// The largest compiled expression has 64 KiB.
const STEPS_A_BYTE: [usize; 4] = [1, 4, 16, 64];

impl<'s> Pattern<'s> {
    /// Compiles an expression. Returns `None` if it is malformed or too large.
    pub(super) fn compile(text: &'s str, budget: &mut Budget) -> Result<Option<Self>, Exhausted> {
        // The crate doesn't report the size, so it is taken as the smallest limit within which the expression compiles.
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

    /// The source of the expression.
    pub(super) fn as_str(&self) -> &'s str {
        self.text
    }

    /// Whether a part of the text matches.
    pub(super) fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, Exhausted> {
        budget.pay((text.len() + 1).saturating_mul(self.steps_a_byte))?;
        Ok(self.regex.is_match(text))
    }
}
