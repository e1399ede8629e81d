//! The audience: whom a token is meant for (RFC 7519, section 4.1.3).

use schemars::JsonSchema;
use serde::Deserialize;

use super::Claims;
use crate::fault::Fault;

/// How many of the configured audiences a token has to name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AudienceMatch {
    /// Every one.
    All,
    /// At least one.
    #[default]
    Any,
}

/// Refuses a token that is meant for somebody else, or that does not say.
pub(crate) fn check(claims: &Claims, audiences: &[String], how: AudienceMatch) -> Result<(), Fault> {
    let named = claims
        .texts("aud", |audience| vec![audience])?
        .ok_or_else(|| Fault::Claim("aud".to_owned(), "is missing"))?;
    let mut expected = audiences.iter().map(|audience| named.contains(&audience.as_str()));
    let holds = match how {
        AudienceMatch::All => expected.all(|found| found),
        AudienceMatch::Any => expected.any(|found| found),
    };
    if holds { Ok(()) } else { Err(Fault::Audience) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_names_one_or_all_of_the_audiences() {
        let cases = [
            (json!({"aud": "a"}), true, false),
            (json!({"aud": ["x", "b"]}), true, false),
            (json!({"aud": ["a", "b", "x"]}), true, true),
            (json!({"aud": "x"}), false, false),
            (json!({"aud": "A"}), false, false),
            (json!({"aud": "a b"}), false, false),
            (json!({"aud": []}), false, false),
            (json!({"aud": ["a", 1]}), false, false),
            (json!({"aud": {"a": 1}}), false, false),
            (json!({"aud": null}), false, false),
            (json!({}), false, false),
        ];
        let audiences = ["a".to_owned(), "b".to_owned()];
        for (claims, any, all) in cases {
            let claims = Claims::of_verified(claims.to_string().as_bytes()).unwrap();
            let check = |how| check(&claims, &audiences, how).is_ok();
            assert_eq!(
                (check(AudienceMatch::Any), check(AudienceMatch::All)),
                (any, all),
                "{:?}",
                claims.0
            );
        }
    }
}
