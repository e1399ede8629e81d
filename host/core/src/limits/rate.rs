//! A rate limit as an operator writes it: a number of calls per second, minute or hour. The limiter itself is in
//! `plugin::overload`.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

/// A number of calls per span of time: `20/s`, `300/m`, `1000/h`.
///
/// It is a token bucket: all calls of one span may come at once, and each call is refilled after its share of the span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    pub(crate) calls: NonZero<u32>,
    pub(crate) per: Duration,
}

impl Rate {
    /// A rate of `calls` per span of `per`. Returns `None` if the span is zero.
    pub const fn new(calls: NonZero<u32>, per: Duration) -> Option<Self> {
        if per.is_zero() { None } else { Some(Self { calls, per }) }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (calls, unit) = text.split_once('/').ok_or(RateError)?;
        let per = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(RateError),
        };
        let calls = calls.parse().map_err(|_| RateError)?;
        Self::new(calls, Duration::from_secs(per)).ok_or(RateError)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.as_secs() {
            1 => write!(f, "{}/s", self.calls),
            60 => write!(f, "{}/m", self.calls),
            3600 => write!(f, "{}/h", self.calls),
            _ => write!(f, "{}/{:?}", self.calls, self.per),
        }
    }
}

/// The error for a text that is not a [`Rate`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a rate such as \"20/s\", \"300/m\" or \"1000/h\"")]
#[non_exhaustive]
pub struct RateError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_shown_as_it_is_written() {
        for text in ["20/s", "300/m", "1/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["", "20", "0/s", "-1/s", "1.5/s", "20/d", "20/ s", "99999999999/s"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }
}
