//! The keywords that limit a count or a number: `minItems`, `maxLength`, `minimum` and their kind. Counts are of
//! characters, items or properties.

use std::cmp::Ordering;

use serde_json::Number;

use super::complaint::Fault;
use super::number::compare;

/// A limit on the number of characters, items or properties.
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

    /// The fault of a count beyond it.
    pub(super) fn fault(self, one: &str, many: &str) -> Fault<'static> {
        let counted = |count| format!("{count} {}", if count == 1 { one } else { many });
        match self {
            Self::AtLeast(1) => Fault::Empty,
            Self::AtLeast(min) => Fault::Other(format!("it has fewer than {}", counted(min))),
            Self::AtMost(max) => Fault::Other(format!("it has more than {}", counted(max))),
        }
    }
}

/// A limit on a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit<'s> {
    Minimum(&'s Number),
    Maximum(&'s Number),
    ExclusiveMinimum(&'s Number),
    ExclusiveMaximum(&'s Number),
}

impl<'s> Limit<'s> {
    /// Parses the keyword of this name. Returns `None` if it is another keyword.
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

    /// The fault of a number beyond it.
    pub(super) fn fault(self) -> Fault<'static> {
        Fault::Other(match self {
            Self::Minimum(limit) => format!("the value is less than the minimum of {limit}"),
            Self::Maximum(limit) => format!("the value is greater than the maximum of {limit}"),
            Self::ExclusiveMinimum(limit) => format!("the value must be greater than {limit}"),
            Self::ExclusiveMaximum(limit) => format!("the value must be less than {limit}"),
        })
    }
}
