//! Rules on claims: who, of all that an issuer vouches for, may come in.

use portcullis_sdk::settings;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;
use serde_json::Value;

use super::Claims;
use super::path::ClaimPath;
use crate::fault::Fault;

settings! {
    /// A rule on one claim. It has exactly one of the conditions.
    #[non_exhaustive]
    pub struct RuleSettings {
        /// The claim, or the path to it: `email_verified`, `realm_access.roles`.
        pub claim: ClaimPath,
        /// The claim is this text, number or boolean.
        pub equals: Option<Scalar>,
        /// The claim is one of these.
        pub one_of: Option<Vec<Scalar>>,
        /// The claim is a list, and this is in it.
        pub contains: Option<Scalar>,
        /// The claim is text that starts with this.
        pub prefix: Option<String>,
        /// The claim is an e-mail address in one of these domains, subdomains not included. Add a rule
        /// `{ claim = "email_verified", equals = true }` unless the provider verifies every address.
        pub email_domain: Option<Vec<String>>,
        /// The claim is there (`true`), or is not (`false`). A `null` is not there.
        pub exists: Option<bool>,
    }
}

/// What a claim can be compared with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected text, a number or a boolean")]
#[non_exhaustive]
pub enum Scalar {
    /// `true` or `false`, which are not the texts.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
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
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), Fault> {
        if self.condition.holds(claims.find(&self.claim)) {
            Ok(())
        } else {
            Err(Fault::Rule(self.claim.to_string()))
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

/// Whether an address has one `@` and is in one of the domains. With two, readers disagree on where the domain starts
/// (GHSA-c5c4-8r6x-56w3 in oauth2-proxy).
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
        let sound = match self {
            Self::Contains(_) | Self::Exists(_) => true,
            Self::EmailDomain(domains) => {
                !domains.is_empty() && domains.iter().all(|domain| !domain.is_empty() && !domain.contains('@'))
            }
            Self::OneOf(values) => !values.is_empty(),
            Self::Prefix(prefix) => !prefix.is_empty(),
        };
        if sound {
            Ok(())
        } else {
            Err("holds for every claim or for none")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_holds_for_what_it_says_and_for_nothing_near_it() {
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
            let claims = Claims::of_verified(json!({ "v": value }).to_string().as_bytes()).unwrap();
            assert_eq!(rule.check(&claims).is_ok(), holds, "{shown}");
        }
    }

    /// Security case 31.
    #[test]
    fn an_e_mail_address_has_one_at_sign_and_the_very_domain() {
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
            let claims = Claims::of_verified(json!({ "email": email }).to_string().as_bytes()).unwrap();
            assert_eq!(rule.check(&claims).is_ok(), holds, "{email}");
        }
    }

    #[test]
    fn a_rule_has_exactly_one_condition_that_can_hold() {
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
