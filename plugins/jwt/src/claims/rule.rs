//! Rules on claims. They decide which of an issuer's users are allowed in.

use portcullis_sdk::settings;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;
use serde_json::Value;

use super::Claims;
use super::path::ClaimPath;
use crate::error::TokenError;

settings! {
    /// A rule on one claim. It must have exactly one of the conditions.
    #[non_exhaustive]
    pub struct RuleSettings {
        /// The claim, or its path: `email_verified`, `realm_access.roles`.
        pub claim: ClaimPath,
        /// The claim equals this string, number or boolean.
        pub equals: Option<Scalar>,
        /// The claim equals one of these.
        pub one_of: Option<Vec<Scalar>>,
        /// The claim is a list that contains this.
        pub contains: Option<Scalar>,
        /// The claim is a string that starts with this.
        pub prefix: Option<String>,
        /// The claim is an e-mail address in one of these domains, subdomains not included. Add a rule
        /// `{ claim = "email_verified", equals = true }` unless the provider verifies every address.
        pub email_domain: Option<Vec<String>>,
        /// The claim is present (`true`) or missing (`false`). `null` counts as missing.
        pub exists: Option<bool>,
    }
}

/// A value that a claim is compared with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string, a number or a boolean")]
#[non_exhaustive]
pub enum Scalar {
    /// `true` or `false`, which differ from the strings.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
}

impl Scalar {
    fn is(&self, claim: &Value) -> bool {
        match (self, claim) {
            (Self::Bool(expected), Value::Bool(claim)) => expected == claim,
            (Self::Number(expected), Value::Number(claim)) => expected == claim,
            (Self::Text(expected), Value::String(claim)) => expected == claim,
            _ => false,
        }
    }
}

/// A rule on one claim.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "RuleSettings")]
#[schemars(with = "RuleSettings")]
pub struct Rule {
    claim: ClaimPath,
    condition: Condition,
}

#[derive(Clone, Debug)]
enum Condition {
    Contains(Scalar),
    EmailDomain(Vec<String>),
    Exists(bool),
    OneOf(Vec<Scalar>),
    Prefix(String),
}

impl Rule {
    /// Refuses a token that breaks the rule.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        if self.condition.holds(claims.find(&self.claim)) {
            Ok(())
        } else {
            Err(TokenError::Rule(self.claim.to_string()))
        }
    }
}

impl Condition {
    fn holds(&self, claim: Option<&Value>) -> bool {
        let Some(claim) = claim else {
            return matches!(self, Self::Exists(false));
        };
        match self {
            Self::Contains(value) => claim
                .as_array()
                .is_some_and(|list| list.iter().any(|item| value.is(item))),
            Self::EmailDomain(domains) => claim.as_str().is_some_and(|email| is_in(email, domains)),
            Self::Exists(expected) => *expected,
            Self::OneOf(values) => values.iter().any(|value| value.is(claim)),
            Self::Prefix(prefix) => claim.as_str().is_some_and(|text| text.starts_with(prefix)),
        }
    }
}

/// Returns whether an address has exactly one `@` and is in one of the domains. With two, readers disagree about where
/// the domain starts (GHSA-c5c4-8r6x-56w3 in oauth2-proxy).
fn is_in(email: &str, domains: &[String]) -> bool {
    email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain))
    })
}

impl TryFrom<RuleSettings> for Rule {
    type Error = String;

    fn try_from(settings: RuleSettings) -> Result<Self, String> {
        let RuleSettings {
            claim,
            equals,
            one_of,
            contains,
            prefix,
            email_domain,
            exists,
        } = settings;
        let conditions = [
            equals.map(|value| Condition::OneOf(vec![value])),
            one_of.map(Condition::OneOf),
            contains.map(Condition::Contains),
            prefix.map(Condition::Prefix),
            email_domain.map(Condition::EmailDomain),
            exists.map(Condition::Exists),
        ];
        let mut conditions = conditions.into_iter().flatten();
        match (conditions.next(), conditions.next()) {
            (Some(condition), None) => {
                condition
                    .validate()
                    .map_err(|problem| format!("the rule on {claim} {problem}"))?;
                Ok(Self { claim, condition })
            }
            _ => Err(format!(
                "the rule on {claim} needs exactly one of equals, one_of, contains, prefix, email_domain and exists"
            )),
        }
    }
}

impl Condition {
    fn validate(&self) -> Result<(), &'static str> {
        let valid = match self {
            Self::Contains(_) | Self::Exists(_) => true,
            Self::EmailDomain(domains) => {
                !domains.is_empty() && domains.iter().all(|domain| !domain.is_empty() && !domain.contains('@'))
            }
            Self::OneOf(values) => !values.is_empty(),
            Self::Prefix(prefix) => !prefix.is_empty(),
        };
        if valid {
            Ok(())
        } else {
            Err("matches every claim or none")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_matches_exactly_what_it_says() {
        let cases = [
            (json!({"claim": "v", "equals": true}), json!(true), true),
            (json!({"claim": "v", "equals": true}), json!("true"), false),
            (json!({"claim": "v", "equals": "a"}), json!(["a"]), false),
            (json!({"claim": "v", "equals": 3}), json!(3), true),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!("b"), true),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!("c"), false),
            (json!({"claim": "v", "contains": "a"}), json!(["b", "a"]), true),
            (json!({"claim": "v", "contains": "a"}), json!(["ab"]), false),
            (json!({"claim": "v", "contains": "a"}), json!("a"), false),
            (json!({"claim": "v", "prefix": "org:"}), json!("org:x"), true),
            (json!({"claim": "v", "prefix": "org:"}), json!("Org:x"), false),
            (json!({"claim": "v", "prefix": "org:"}), json!(["org:x"]), false),
            (json!({"claim": "v", "exists": true}), json!(false), true),
            (json!({"claim": "v", "exists": true}), json!(null), false),
            (json!({"claim": "v", "exists": false}), json!(null), true),
            (json!({"claim": "v", "exists": false}), json!(0), false),
            (json!({"claim": "w", "exists": false}), json!(0), true),
            (json!({"claim": "w", "equals": "a"}), json!("a"), false),
            (json!({"claim": "v.in", "equals": "a"}), json!({"in": "a"}), true),
        ];
        for (rule, value, holds) in cases {
            let shown = format!("{rule} {value}");
            let rule: Rule = serde_json::from_value(rule).unwrap();
            let claims = Claims::from_verified(json!({ "v": value }).to_string().as_bytes()).unwrap();
            assert_eq!(rule.check(&claims).is_ok(), holds, "{shown}");
        }
    }

    /// Security case 31.
    #[test]
    fn an_email_address_must_have_one_at_sign_and_exactly_the_domain() {
        let rule: Rule =
            serde_json::from_value(json!({"claim": "email", "email_domain": ["allowed.com", "b.org"]})).unwrap();
        let cases = [
            ("a@allowed.com", true),
            ("a@ALLOWED.com", true),
            ("a@b.org", true),
            ("a@x@allowed.com", false),
            ("a@allowed.com@x", false),
            ("@allowed.com", false),
            ("allowed.com", false),
            ("a@notallowed.com", false),
            ("a@sub.allowed.com", false),
            ("a@allowed.com.", false),
            ("a@allowed.com\n", false),
        ];
        for (email, holds) in cases {
            let claims = Claims::from_verified(json!({ "email": email }).to_string().as_bytes()).unwrap();
            assert_eq!(rule.check(&claims).is_ok(), holds, "{email}");
        }
    }

    #[test]
    fn a_rule_must_have_exactly_one_condition_that_can_match() {
        let cases = [
            json!({"claim": "a"}),
            json!({"claim": "a", "equals": 1, "exists": true}),
            json!({"claim": "a", "equals": {"b": 1}}),
            json!({"claim": "a", "equals": ["b"]}),
            json!({"claim": "a", "one_of": []}),
            json!({"claim": "a", "one_of": [null]}),
            json!({"claim": "a", "prefix": ""}),
            json!({"claim": "a", "email_domain": []}),
            json!({"claim": "a", "email_domain": ["@a.b"]}),
            json!({"claim": "a", "equal": 1}),
            json!({"claim": "", "equals": 1}),
            json!({"equals": 1}),
        ];
        for rule in cases {
            assert!(serde_json::from_value::<Rule>(rule.clone()).is_err(), "{rule}");
        }
    }
}
