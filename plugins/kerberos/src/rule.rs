//! Rules that make a user's name of a principal, by a regular expression.

use portcullis_sdk::prelude::*;
use regex_lite::Captures;
use regex_lite::Regex;
use regex_lite::RegexBuilder;

/// Most rules: each is compiled for every request.
const MAX_RULES: usize = 32;

/// Longest expression, in bytes.
const MAX_PATTERN: usize = 512;

/// What an expression may take when it is compiled, in bytes.
const MAX_COMPILED: usize = 64 * 1024;

settings! {
    /// Makes a user's name of the principals that an expression matches.
    #[non_exhaustive]
    pub struct Rule {
        /// A regular expression. It must match the whole principal, realm included, as Kerberos displays it.
        pub principal: String,
        /// The user's name; $1 or ${name} stands for what a group of the expression matched.
        pub user: String,
    }
}

/// Rules, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Rules(Vec<(Regex, String)>);

impl Rules {
    /// Compiles them.
    ///
    /// # Errors
    ///
    /// When an expression is none, too long, or asks for a group that it doesn't have.
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, SettingsError> {
        if rules.len() > MAX_RULES {
            return Err(format!("rules: at most {MAX_RULES}").into());
        }
        let compiled = rules.iter().enumerate().map(|(index, rule)| {
            let wrong = |what: &str| SettingsError::from(format!("rules[{index}].principal: {what}"));
            if rule.principal.len() > MAX_PATTERN {
                return Err(wrong("longer than 512 bytes"));
            }
            let alone = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build();
            // By itself first: a parenthesis that closes ours would loosen it from the principal's ends.
            let sound = alone(&rule.principal).and_then(|_| alone(&format!("^(?:{})$", rule.principal)));
            let regex = sound.map_err(|error| wrong(&error.to_string()))?;
            if rule.user.is_empty() {
                return Err(format!("rules[{index}].user: it must not be empty").into());
            }
            Ok((regex, rule.user.clone()))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// The name by the first rule that matches.
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
    fn a_rule_that_cannot_work_is_an_error() {
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
        assert!(rules(&[("a", "b"); MAX_RULES + 1]).is_err());
    }
}
