//! Rules on claims. They decide which of an issuer's users are allowed in.

use std::fmt;

use portcullis_sdk::settings;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;
use serde_json::Value;

use super::Claims;
use super::path::ClaimPath;
use super::scope;
use crate::error::TokenError;
use crate::text::shown;

settings! {
    /// A rule: one condition on one claim, a scope, or several rules of which any or all must hold.
    #[non_exhaustive]
    pub struct RuleSettings {
        /// The claim, or its path: `email_verified`, `realm_access.roles`.
        pub claim: Option<ClaimPath>,
        /// The claim equals this string, number or boolean.
        pub equals: Option<Scalar>,
        /// The claim equals one of these, or is a list that contains one of them.
        pub one_of: Option<Vec<Scalar>>,
        /// The claim is a list that contains this, or an object that has this name.
        pub contains: Option<Scalar>,
        /// The claim is a string that starts with this.
        pub prefix: Option<String>,
        /// The claim is an e-mail address in one of these domains, subdomains not included. Add a rule
        /// `{ claim = "email_verified", equals = true }` unless the provider verifies every address.
        pub email_domain: Option<Vec<String>>,
        /// The claim is present (`true`) or missing (`false`). `null` counts as missing.
        pub exists: Option<bool>,
        /// The token has this scope.
        pub scope: Option<String>,
        /// At least one of these rules holds.
        pub any: Option<Vec<Rule>>,
        /// All of these rules hold.
        pub all: Option<Vec<Rule>>,
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

    /// Whether the claim is a list that contains this.
    fn is_in(&self, claim: &Value) -> bool {
        claim
            .as_array()
            .is_some_and(|items| items.iter().any(|item| self.is(item)))
    }
}

/// A rule on the claims of a token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "RuleSettings")]
#[schemars(with = "RuleSettings")]
pub struct Rule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Claim(ClaimPath, Condition),
    Scope(String),
}

#[derive(Clone, Debug)]
enum Condition {
    Contains(Scalar),
    EmailDomain(Vec<String>),
    Equals(Scalar),
    Exists(bool),
    OneOf(Vec<Scalar>),
    Prefix(String),
}

impl Rule {
    /// Refuses a token that breaks the rule.
    pub fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        match self.broken(claims) {
            None => Ok(()),
            Some(why) => Err(TokenError::Rule(why)),
        }
    }

    /// Why the claims break the rule: what was found, and what was expected. `None` if they don't.
    fn broken(&self, claims: &Claims) -> Option<String> {
        match &self.0 {
            Kind::All(rules) => rules.iter().find_map(|rule| rule.broken(claims)),
            Kind::Any(rules) => {
                let broken = rules
                    .iter()
                    .map(|rule| rule.broken(claims))
                    .collect::<Option<Vec<_>>>()?;
                Some(broken.join("; and "))
            }
            Kind::Claim(path, condition) => {
                let claim = claims.find(path);
                let found = || claim.map_or_else(|| "is missing".to_owned(), |claim| format!("is {}", shown(claim)));
                (!condition.holds(claim)).then(|| format!("the claim {path} {}, and must {condition}", found()))
            }
            Kind::Scope(scope) => (!scope::has(claims, scope)).then(|| format!("the token lacks the scope {scope}")),
        }
    }
}

impl Condition {
    fn holds(&self, claim: Option<&Value>) -> bool {
        let Some(claim) = claim else {
            return matches!(self, Self::Exists(false));
        };
        match self {
            // Some providers send roles as the names in an object, whose values say more about each.
            Self::Contains(Scalar::Text(name)) if claim.is_object() => claim.get(name).is_some(),
            Self::Contains(value) => value.is_in(claim),
            Self::EmailDomain(domains) => claim.as_str().is_some_and(|email| is_in(email, domains)),
            Self::Exists(expected) => *expected,
            Self::Equals(value) => value.is(claim),
            Self::OneOf(values) => values.iter().any(|value| value.is(claim) || value.is_in(claim)),
            Self::Prefix(prefix) => claim.as_str().is_some_and(|text| text.starts_with(prefix)),
        }
    }
}

/// Ends the sentence "the claim must".
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contains(value) => write!(f, "be a list with {value}"),
            Self::EmailDomain(domains) => write!(f, "be an address in {}", domains.join(" or ")),
            Self::Equals(value) => write!(f, "be {value}"),
            Self::Exists(true) => f.write_str("be present"),
            Self::Exists(false) => f.write_str("be missing"),
            Self::OneOf(values) => {
                let values = values.iter().map(Scalar::to_string).collect::<Vec<_>>();
                write!(f, "be {}", values.join(" or "))
            }
            Self::Prefix(prefix) => write!(f, "start with {prefix:?}"),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
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
            scope,
            any,
            all,
        } = settings;
        let conditions = [
            equals.map(Condition::Equals),
            one_of.map(Condition::OneOf),
            contains.map(Condition::Contains),
            prefix.map(Condition::Prefix),
            email_domain.map(Condition::EmailDomain),
            exists.map(Condition::Exists),
        ];
        let conditions = Vec::from_iter(conditions.into_iter().flatten());
        match (claim, conditions.as_slice(), scope, any, all) {
            (Some(claim), [condition], None, None, None) => {
                condition
                    .validate()
                    .map_err(|problem| format!("the rule on {claim} {problem}"))?;
                Ok(Self(Kind::Claim(claim, condition.clone())))
            }
            (None, [], Some(scope), None, None) if !scope.is_empty() && !scope.contains(' ') => {
                Ok(Self(Kind::Scope(scope)))
            }
            (None, [], Some(_), None, None) => Err("a scope must not be empty or contain spaces".to_owned()),
            (None, [], None, Some(rules), None) if !rules.is_empty() => Ok(Self(Kind::Any(rules))),
            (None, [], None, None, Some(rules)) if !rules.is_empty() => Ok(Self(Kind::All(rules))),
            (Some(claim), ..) => Err(format!(
                "the rule on {claim} needs exactly one of equals, one_of, contains, prefix, email_domain and exists, and \
                 nothing else"
            )),
            (None, ..) => Err(
                "a rule needs a claim with one condition, or else a scope, or a list any or all that isn't empty"
                    .to_owned(),
            ),
        }
    }
}

impl Condition {
    fn validate(&self) -> Result<(), &'static str> {
        let valid = match self {
            Self::Contains(_) | Self::Equals(_) | Self::Exists(_) => true,
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
            (json!({"claim": "v", "equals": "a"}), json!(["ab"]), false),
            (json!({"claim": "v", "equals": "a"}), json!(["a"]), false),
            (json!({"claim": "v", "equals": "a"}), json!({"a": 1}), false),
            (json!({"claim": "v", "equals": 3}), json!(3), true),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!("b"), true),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!("c"), false),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!(["c", "b"]), true),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!(["c"]), false),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!([["a"]]), false),
            (json!({"claim": "v", "one_of": ["a", "b"]}), json!({"a": "b"}), false),
            (json!({"claim": "v", "contains": "a"}), json!(["b", "a"]), true),
            (json!({"claim": "v", "contains": "a"}), json!(["ab"]), false),
            (json!({"claim": "v", "contains": "a"}), json!("a"), false),
            (json!({"claim": "v", "contains": "a"}), json!({"a": {"1": "x"}}), true),
            (json!({"claim": "v", "contains": "a"}), json!({"b": "a"}), false),
            (json!({"claim": "v", "contains": 1}), json!({"1": 1}), false),
            (json!({"claim": "v", "contains": 1}), json!([1]), true),
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

    /// Row B10 of the field reports: one of several rules is enough.
    #[test]
    fn rules_are_joined_by_any_and_all() {
        let role = |role: &str| json!({"claim": "roles", "contains": role});
        let rule = json!({"any": [{"scope": "dask"}, role("admin"), {"all": [role("user"), {"claim": "mfa", "equals": true}]}]});
        let rule: Rule = serde_json::from_value(rule).unwrap();
        for (claims, expected) in [
            (json!({"scope": "openid dask"}), None),
            (json!({"scp": ["dask"]}), None),
            (json!({"roles": ["admin"]}), None),
            (json!({"roles": ["user"], "mfa": true}), None),
            (
                json!({"scope": "daskx", "roles": ["user"], "mfa": "true"}),
                Some(
                    "the token lacks the scope dask; and the claim roles is [\"user\"], and must be a list with \"admin\"; and the \
                     claim mfa is \"true\", and must be true",
                ),
            ),
            (
                json!({"scope": 7}),
                Some(
                    "the token lacks the scope dask; and the claim roles is missing, and must be a list with \"admin\"; and the \
                     claim roles is missing, and must be a list with \"user\"",
                ),
            ),
        ] {
            let claims = Claims::from_verified(claims.to_string().as_bytes()).unwrap();
            assert_eq!(rule.broken(&claims).as_deref(), expected);
        }
    }

    #[test]
    fn a_broken_rule_says_what_it_wants() {
        for (rule, expected) in [
            (
                json!({"claim": "v", "equals": "b"}),
                "the claim v is \"a\", and must be \"b\"",
            ),
            (
                json!({"claim": "v", "one_of": ["b", 1]}),
                "the claim v is \"a\", and must be \"b\" or 1",
            ),
            (
                json!({"claim": "v", "prefix": "b"}),
                "the claim v is \"a\", and must start with \"b\"",
            ),
            (
                json!({"claim": "v", "email_domain": ["b", "c"]}),
                "the claim v is \"a\", and must be an address in b or c",
            ),
            (
                json!({"claim": "v", "exists": false}),
                "the claim v is \"a\", and must be missing",
            ),
            (
                json!({"claim": "w", "exists": true}),
                "the claim w is missing, and must be present",
            ),
        ] {
            let rule: Rule = serde_json::from_value(rule).unwrap();
            let claims = Claims::from_verified(br#"{"v":"a"}"#).unwrap();
            assert_eq!(rule.broken(&claims).as_deref(), Some(expected));
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
            json!({}),
            json!({"any": []}),
            json!({"all": []}),
            json!({"any": [{"claim": "a"}]}),
            json!({"any": [{"scope": "a"}], "all": [{"scope": "a"}]}),
            json!({"any": [{"scope": "a"}], "claim": "a"}),
            json!({"scope": ""}),
            json!({"scope": "a b"}),
            json!({"scope": "a", "equals": 1}),
            json!({"scope": "a", "claim": "a", "equals": 1}),
        ];
        for rule in cases {
            assert!(serde_json::from_value::<Rule>(rule.clone()).is_err(), "{rule}");
        }
    }
}
