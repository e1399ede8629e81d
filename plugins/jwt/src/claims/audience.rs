//! Checks the audience of a token (RFC 7519, section 4.1.3). It names the services that the token was issued for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Claims;
use crate::error::TokenError;

/// How many of the configured audiences a token must name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AudienceMatch {
    /// All of them.
    All,
    /// At least one of them.
    #[default]
    Any,
}

/// Refuses a token that has another audience or none.
pub(crate) fn check(claims: &Claims, audiences: &[String], how: AudienceMatch) -> Result<(), TokenError> {
    let named = claims
        .strings("aud", |audience| vec![audience])?
        .ok_or_else(|| TokenError::Claim("aud".to_owned(), "is missing"))?;
    let mut expected = audiences.iter().map(|audience| named.contains(&audience.as_str()));
    let holds = match how {
        AudienceMatch::All => expected.all(|found| found),
        AudienceMatch::Any => expected.any(|found| found),
    };
    if holds { Ok(()) } else { Err(TokenError::Audience) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_must_name_one_or_all_of_the_audiences() {
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
            let claims = Claims::from_verified(claims.to_string().as_bytes()).unwrap();
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
