//! How many of something there may be, and how small or large a number may be.

use std::cmp::Ordering;

use serde_json::Number;

use super::complaint::Fault;
use super::number::compare;

/// How many characters, items or properties there may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    AtLeast(u64),
    AtMost(u64),
}

impl Bound {
    pub(super) fn allows(self, count: usize) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match self {
            Self::AtLeast(min) => count >= min,
            Self::AtMost(max) => count <= max,
        }
    }

    /// What is wrong with another number of them.
    pub(super) fn fault(self, one: &str, many: &str) -> Fault<'static> {
        let counted = |count| format!("{count} {}", if count == 1 { one } else { many });
        match self {
            Self::AtLeast(1) => Fault::Empty,
            Self::AtLeast(min) => Fault::Other(format!("it has fewer than {}", counted(min))),
            Self::AtMost(max) => Fault::Other(format!("it has more than {}", counted(max))),
        }
    }
}

/// How small or how large a number may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit<'s> {
    Minimum(&'s Number),
    Maximum(&'s Number),
    ExclusiveMinimum(&'s Number),
    ExclusiveMaximum(&'s Number),
}

impl<'s> Limit<'s> {
    /// Reads the keyword of this name. `None` if it is another one.
    pub(super) fn named(keyword: &str, limit: &'s Number) -> Option<Self> {
        let limit = match keyword {
            "minimum" => Self::Minimum(limit),
            "maximum" => Self::Maximum(limit),
            "exclusiveMinimum" => Self::ExclusiveMinimum(limit),
            "exclusiveMaximum" => Self::ExclusiveMaximum(limit),
            _ => return None,
        };
        Some(limit)
    }

    pub(super) fn allows(self, number: &Number) -> bool {
        let is = |limit, order: Ordering| compare(number, limit) == Some(order);
        match self {
            Self::Minimum(limit) => is(limit, Ordering::Greater) || is(limit, Ordering::Equal),
            Self::Maximum(limit) => is(limit, Ordering::Less) || is(limit, Ordering::Equal),
            Self::ExclusiveMinimum(limit) => is(limit, Ordering::Greater),
            Self::ExclusiveMaximum(limit) => is(limit, Ordering::Less),
        }
    }

    /// What is wrong with a number beyond it.
    pub(super) fn fault(self) -> Fault<'static> {
        Fault::Other(match self {
            Self::Minimum(limit) => format!("the value is less than the minimum of {limit}"),
            Self::Maximum(limit) => format!("the value is greater than the maximum of {limit}"),
            Self::ExclusiveMinimum(limit) => format!("the value must be greater than {limit}"),
            Self::ExclusiveMaximum(limit) => format!("the value must be less than {limit}"),
        })
    }
}
