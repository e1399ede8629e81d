//! Rules that turn principals into user names. A rule has a regular expression for the principal and a template for the
//! name.

use portcullis_sdk::prelude::*;
use regex_lite::Captures;
use regex_lite::Regex;
use regex_lite::RegexBuilder;

/// The maximum number of rules. Each is compiled for every request.
const MAX_RULES: usize = 32;

/// The longest expression, in bytes.
const MAX_PATTERN: usize = 512;

/// The maximum size of a compiled expression, in bytes.
const MAX_COMPILED: usize = 64 * 1024;

settings! {
    /// Turns the principals that an expression matches into user names.
    #[non_exhaustive]
    pub struct Rule {
        /// A regular expression. It must match the whole principal, including the realm, as Kerberos displays it.
        pub principal: String,
        /// The user name. $1 or ${name} stands for what a group of the expression matched.
        pub user: String,
    }
}

/// Rules, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Rules(Vec<(Regex, String)>);

impl Rules {
    /// Compiles the rules.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many rules, an expression is invalid or too long, or a user name is empty.
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, SettingsError> {
        if rules.len() > MAX_RULES {
            return Err(format!("rules: at most {MAX_RULES}").into());
        }
        let compiled = rules.iter().enumerate().map(|(index, rule)| {
            let wrong = |problem: &str| SettingsError::from(format!("rules[{index}].principal: {problem}"));
            if rule.principal.len() > MAX_PATTERN {
                return Err(wrong("longer than 512 bytes"));
            }
            let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build();
            // The expression is compiled by itself first: an unbalanced parenthesis in it could close the group below, and
            // the expression would no longer be anchored at both ends.
            let anchored = compile(&rule.principal).and_then(|_| compile(&format!("^(?:{})$", rule.principal)));
            let regex = anchored.map_err(|error| wrong(&error.to_string()))?;
            if rule.user.is_empty() {
                return Err(format!("rules[{index}].user: it must not be empty").into());
            }
            Ok((regex, rule.user.clone()))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// The user name by the first rule that matches.
    pub(crate) fn name(&self, principal: &str) -> Option<String> {
        let first = self
            .0
            .iter()
            .find_map(|(regex, user)| Some((regex.captures(principal)?, user)));
        first.map(|(captures, user)| expanded(&captures, user))
    }
}

fn expanded(captures: &Captures<'_>, user: &str) -> String {
    let mut name = String::new();
    captures.expand(user, &mut name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, &str)]) -> Result<Rules, SettingsError> {
        let rule = |(principal, user): &(&str, &str)| Rule {
            principal: (*principal).to_owned(),
            user: (*user).to_owned(),
        };
        Rules::new(&Vec::from_iter(rules.iter().map(rule)))
    }

    #[test]
    fn the_first_rule_that_matches_the_whole_principal_names_the_user() {
        let rules = rules(&[
            (r"([^/@]+)/admin@R", "$1-admin"),
            (r"(?<host>[^/]+)/(.+)@R|x", "${host}.$2"),
            ("a|b", "either"),
        ])
        .unwrap();
        for (principal, name) in [
            ("alice/admin@R", Some("alice-admin")),
            ("HTTP/host@R", Some("HTTP.host")),
            ("a", Some("either")),
            ("ab", None),
            ("alice/admin@RS", None),
            ("xalice/admin@R\n", None),
            ("alice@R", None),
            ("y", None),
        ] {
            assert_eq!(rules.name(principal).as_deref(), name, "{principal:?}");
        }
    }

    #[test]
    fn an_invalid_rule_is_an_error() {
        let long = "a".repeat(MAX_PATTERN + 1);
        for (pattern, user, expected) in [
            ("(", "x", "rules[0].principal: "),
            ("a)|(?:b", "x", "rules[0].principal: "),
            (&long, "x", "rules[0].principal: longer"),
            ("a{1000}{1000}", "x", "rules[0].principal: "),
            ("a", "", "rules[0].user: "),
        ] {
            let error = rules(&[(pattern, user)]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{pattern}: {error}");
        }
        assert!(rules(&[("a", "b"); MAX_RULES]).is_ok());
        assert!(rules(&[("a{600}", "b")]).is_ok());
        assert!(rules(&[("a", "b"); MAX_RULES + 1]).is_err());
    }
}
