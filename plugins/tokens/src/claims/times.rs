//! Checks when a token is valid: `exp`, `nbf` and `iat` are compared with the clock. A leeway allows for clocks that
//! differ.

use std::time::Duration;

use serde_json::Number;
use serde_json::Value;

use super::Claims;
use crate::error::TokenError;

/// The last second of the year 9999. A later time is a mistake, such as milliseconds for seconds.
const LATEST: u64 = 253_402_300_799;

/// The settings about times.
#[derive(Clone, Copy, Debug)]
pub struct TimeRules {
    /// The largest difference between the issuer's clock and ours.
    pub leeway: Duration,
    /// The longest time for which a token may be valid, from `iat` and from now.
    pub max_lifetime: Option<Duration>,
}

impl TimeRules {
    /// Refuses a token that is not valid at `now`, in seconds since 1970. Returns its remaining lifetime, without
    /// leeway, or `None` if it never expires, which must be allowed.
    pub fn check(self, claims: &Claims, allow_no_expiry: bool, now: u64) -> Result<Option<Duration>, TokenError> {
        let expiry = date(claims, "exp")?;
        let issued = date(claims, "iat")?;
        let not_before = date(claims, "nbf")?;
        let leeway = self.leeway.as_secs();
        if expiry.is_none() && !allow_no_expiry {
            return Err(TokenError::Claim("exp".to_owned(), "is missing"));
        }
        // RFC 7519, section 4.1.4: not accepted "on or after" that time.
        if let Some(expiry) = expiry.filter(|expiry| now >= expiry.saturating_add(leeway)) {
            return Err(TokenError::Expired(now.saturating_sub(expiry)));
        }
        for (name, start) in [("nbf", not_before), ("iat", issued)] {
            if let Some(start) = start.filter(|start| *start > now.saturating_add(leeway)) {
                return Err(TokenError::NotYet(name, start.saturating_sub(now)));
            }
        }
        if let Some(max) = self.max_lifetime {
            self.check_lifetime(max.as_secs(), issued, expiry, now)?;
        }
        Ok(expiry.map(|expiry| Duration::from_secs(expiry.saturating_sub(now))))
    }

    fn check_lifetime(self, max: u64, issued: Option<u64>, expiry: Option<u64>, now: u64) -> Result<(), TokenError> {
        let Some(expiry) = expiry else {
            return Err(TokenError::Token("never expires (settings: max_lifetime)"));
        };
        if issued.is_some_and(|issued| expiry.saturating_sub(issued) > max) {
            return Err(TokenError::Token(
                "was issued for too long a time (settings: max_lifetime)",
            ));
        }
        if expiry.saturating_sub(now) > max.saturating_add(self.leeway.as_secs()) {
            return Err(TokenError::Token("expires too late (settings: max_lifetime)"));
        }
        Ok(())
    }
}

/// Reads a `NumericDate` (RFC 7519, section 2) in whole seconds. A fraction is cut off, so that a token ends early. A
/// string, `null`, a negative number or a time past the year 9999 is refused, since skipping it would skip the check
/// (CVE-2026-25537).
fn date(claims: &Claims, name: &str) -> Result<Option<u64>, TokenError> {
    let malformed = || TokenError::Claim(name.to_owned(), "is not a number of seconds since 1970");
    match claims.registered(name) {
        None => Ok(None),
        Some(Value::Number(number)) => seconds(number).map(Some).ok_or_else(malformed),
        Some(_) => Err(malformed()),
    }
}

fn seconds(number: &Number) -> Option<u64> {
    let seconds = number.as_u64().or_else(|| whole(number.as_f64()?))?;
    (seconds <= LATEST).then_some(seconds)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
fn whole(seconds: f64) -> Option<u64> {
    (0.0..=LATEST as f64).contains(&seconds).then_some(seconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn check(rules: TimeRules, claims: &str) -> Result<Option<u64>, String> {
        let claims = Claims::from_verified(claims.as_bytes()).unwrap();
        rules
            .check(&claims, false, NOW)
            .map(|left| left.map(|left| left.as_secs()))
            .map_err(|error| error.to_string())
    }

    const RULES: TimeRules = TimeRules {
        leeway: Duration::from_secs(60),
        max_lifetime: None,
    };

    #[test]
    fn times_are_valid_up_to_the_leeway_and_not_a_second_longer() {
        let cases = [
            (r#"{"exp": 1800000100}"#, Some(100)),
            (r#"{"exp": 1800000100.75}"#, Some(100)),
            (r#"{"exp": 1.8000001e9}"#, Some(100)),
            (r#"{"exp": 1800000000}"#, Some(0)),
            (r#"{"exp": 1799999941}"#, Some(0)),
            (r#"{"exp": 1799999940}"#, None),
            (r#"{"exp": 1799999940.9}"#, None),
            (r#"{"exp": 0}"#, None),
            (r#"{"exp": 1800000100, "nbf": 1800000060}"#, Some(100)),
            (r#"{"exp": 1800000100, "nbf": 1800000061}"#, None),
            (r#"{"exp": 1800000100, "iat": 1800000060.5}"#, Some(100)),
            (r#"{"exp": 1800000100, "iat": 1800000061}"#, None),
            (r#"{"iat": 1800000000}"#, None),
        ];
        for (claims, left) in cases {
            assert_eq!(check(RULES, claims).ok(), left.map(Some), "{claims}");
        }
    }

    /// Security case 10.
    #[test]
    fn a_time_that_is_not_a_numeric_date_is_refused_in_every_claim() {
        let bad = [
            "\"1800000100\"",
            "\"999999999999\"",
            "null",
            "[1800000100]",
            "{}",
            "true",
            "-1",
            "-0.5",
            "1e300",
            "-1e300",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1800000100000",
            "253402300800",
        ];
        for value in bad {
            for name in ["exp", "nbf", "iat"] {
                let claims = if name == "exp" {
                    format!(r#"{{"exp": {value}}}"#)
                } else {
                    format!(r#"{{"exp": 1800000100, "{name}": {value}}}"#)
                };
                let error = check(RULES, &claims).unwrap_err();
                assert!(
                    error.starts_with(&format!("the claim {name} is not a number")),
                    "{claims}: {error}"
                );
            }
        }
    }

    #[test]
    fn a_lifetime_is_measured_from_the_issue_and_from_now() {
        let rules = TimeRules {
            max_lifetime: Some(Duration::from_secs(3600)),
            ..RULES
        };
        let cases = [
            (r#"{"exp": 1800003600}"#, true),
            (r#"{"exp": 1800003660}"#, true),
            (r#"{"exp": 1800003661}"#, false),
            (r#"{"exp": 1800003600, "iat": 1800000000}"#, true),
            (r#"{"exp": 1800003600, "iat": 1799999999}"#, false),
            (r#"{"exp": 253402300799}"#, false),
        ];
        for (claims, accepted) in cases {
            assert_eq!(check(rules, claims).is_ok(), accepted, "{claims}");
        }
    }

    #[test]
    fn a_token_without_expiry_is_accepted_only_if_the_settings_allow_it() {
        let none = Claims::from_verified(b"{}").unwrap();
        let null = Claims::from_verified(br#"{"exp": null}"#).unwrap();
        assert!(matches!(RULES.check(&none, true, NOW), Ok(None)));
        assert!(RULES.check(&null, true, NOW).is_err());
        assert!(RULES.check(&none, false, NOW).is_err());
        let bounded = TimeRules {
            max_lifetime: Some(Duration::from_secs(3600)),
            ..RULES
        };
        assert!(bounded.check(&none, true, NOW).is_err());
    }
}
