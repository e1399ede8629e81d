//! Compares numbers as JSON Schema does: by value, so that `1` and `1.0` are equal.

use std::cmp::Ordering;

use serde_json::Number;
use serde_json::Value;

/// Whether it has no fraction.
pub(super) fn is_whole(number: &Number) -> bool {
    match number.as_i128() {
        Some(_) => true,
        None => number.as_f64().is_some_and(|float| float.fract() == 0.0),
    }
}

/// Compares exactly, even integers that a float can't represent. `None` only for numbers that JSON doesn't have.
pub(super) fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => compare_mixed(one, other.as_f64()?),
        (None, Some(other)) => compare_mixed(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    // Beyond any integer of JSON the cast saturates, which keeps the order.
    let whole = float.trunc() as i128;
    match integer.cmp(&whole) {
        Ordering::Equal => 0.0.partial_cmp(&float.fract()),
        order => Some(order),
    }
}

/// Whether it is a whole multiple of `divisor`, which is neither 0 nor above [`MAX_DIVISOR`].
pub(super) fn is_multiple(number: &Number, divisor: u64) -> bool {
    match number.as_i128() {
        Some(integer) => integer.checked_rem(i128::from(divisor)) == Some(0),
        None => number.as_f64().is_some_and(|float| float % (divisor as f64) == 0.0),
    }
}

/// The largest integer below which a float represents every integer.
pub(super) const MAX_DIVISOR: u64 = 1 << 53;

/// A count, such as `3` or `3.0`.
pub(super) fn count(value: &Value) -> Option<u64> {
    canonical_number(value.as_number()?).as_u64()
}

/// The same value with whole numbers as integers, so that equal values have the same form.
pub(super) fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Number(number) => Value::Number(canonical_number(number)),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), canonical(member)))
            .collect(),
        Value::Bool(_) | Value::Null | Value::String(_) => value.clone(),
    }
}

fn canonical_number(number: &Number) -> Number {
    // Within this range the cast is exact.
    const RANGE: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0;
    let integer = match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && RANGE.contains(&float) => {
            Number::from_i128(float as i128)
        }
        _ => None,
    };
    integer.unwrap_or_else(|| number.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let number = |value: Value| value.as_number().unwrap().clone();
        for (one, expected, other) in [
            (json!(1), Ordering::Equal, json!(1.0)),
            (json!(0), Ordering::Equal, json!(-0.0)),
            (json!(1), Ordering::Less, json!(1.5)),
            (json!(-1), Ordering::Greater, json!(-1.5)),
            (json!(u64::MAX), Ordering::Greater, json!(i64::MIN)),
            (json!(u64::MAX), Ordering::Less, json!(1e300)),
            (json!(i64::MIN), Ordering::Greater, json!(-1e300)),
            (
                json!(9_007_199_254_740_993_u64),
                Ordering::Greater,
                json!(9_007_199_254_740_992.0),
            ),
            (json!(0.1), Ordering::Less, json!(0.2)),
        ] {
            let (left, right) = (number(one.clone()), number(other.clone()));
            assert_eq!(compare(&left, &right), Some(expected), "{one} {other}");
            assert_eq!(compare(&right, &left), Some(expected.reverse()), "{other} {one}");
            assert_eq!(
                canonical(&one) == canonical(&other),
                expected == Ordering::Equal,
                "{one} {other}"
            );
        }
    }
}
