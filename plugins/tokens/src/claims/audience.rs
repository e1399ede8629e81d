//! Checks the audience of a token (RFC 7519, section 4.1.3). It names the services that the token was issued for.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Claims;
use super::path::ClaimPath;
use crate::error::TokenError;
use crate::text::all_quoted;
use crate::text::one_of;
use crate::text::shown;

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

/// Refuses a token whose claim names another audience or none. It is `aud`, unless the operator names another one: access
/// tokens of some providers have the client instead.
pub fn check(claims: &Claims, claim: &ClaimPath, audiences: &[String], how: AudienceMatch) -> Result<(), TokenError> {
    let found = claims
        .find(claim)
        .ok_or_else(|| TokenError::Claim(claim.to_string(), "is missing (settings: audiences)"))?;
    let named = strings(found)
        .ok_or_else(|| TokenError::Claim(claim.to_string(), "is neither a string nor a list of strings"))?;
    let mut expected = audiences.iter().map(|audience| named.contains(&audience.as_str()));
    let holds = match how {
        AudienceMatch::All => expected.all(|found| found),
        AudienceMatch::Any => expected.any(|found| found),
    };
    if holds {
        return Ok(());
    }
    let audiences = audiences.iter().map(String::as_str);
    Err(TokenError::Audience {
        claim: claim.to_string(),
        found: shown(found),
        expected: match how {
            AudienceMatch::All => format!("all of {}", all_quoted(audiences)),
            AudienceMatch::Any => one_of(audiences),
        },
    })
}

fn strings(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
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
            let aud = ClaimPath::try_from("aud".to_owned()).unwrap();
            let check = |how| check(&claims, &aud, &audiences, how).is_ok();
            assert_eq!(
                (check(AudienceMatch::Any), check(AudienceMatch::All)),
                (any, all),
                "{:?}",
                claims.0
            );
        }
    }
}
