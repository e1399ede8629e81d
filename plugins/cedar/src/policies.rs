//! Policies as the operator wrote them: parsed, named, and validated against the schema.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use cedar_policy::Policy;
use cedar_policy::PolicyId;
use cedar_policy::PolicySet;
use cedar_policy::Schema;
use cedar_policy::ValidationMode;
use cedar_policy::ValidationWarning;
use cedar_policy::Validator;
use miette::Diagnostic;

use crate::methods;
use crate::mistakes::Mistakes;
use crate::mistakes::line;
use crate::place;

/// The longest name of a policy, in bytes.
const MAX_NAME: usize = 128;

/// Policies with unique names.
#[derive(Debug)]
pub(crate) struct Policies<'a> {
    texts: Vec<(String, &'a str)>,
    policies: BTreeMap<PolicyId, Named>,
}

#[derive(Debug)]
struct Named {
    policy: Policy,
    /// The number of its text.
    text: usize,
    line: usize,
}

impl<'a> Policies<'a> {
    /// Parses texts, each of which is the text of a setting.
    pub(crate) fn parse(texts: Vec<(String, &'a str)>, mistakes: &mut Mistakes) -> Self {
        let mut policies = BTreeMap::new();
        let several = texts.len() > 1;
        for (number, (setting, text)) in texts.iter().enumerate() {
            let set: PolicySet = match text.parse() {
                Ok(set) => set,
                Err(errors) => {
                    let errors: cedar_policy::ParseErrors = errors;
                    for error in errors.iter() {
                        mistakes.add_diagnostic(setting, text, None, error);
                    }
                    continue;
                }
            };
            for (line, statement) in statements(&set, text) {
                let Some(policy) = statement else {
                    mistakes.add(
                        setting,
                        line,
                        "a template isn't a policy: write the entity instead of the slot",
                    );
                    continue;
                };
                let name = match policy.annotation("id") {
                    Some(id) if id.is_empty() || id.len() > MAX_NAME || id.contains(char::is_control) => {
                        let rule = format!("an @id has 1 to {MAX_NAME} bytes and no control characters");
                        mistakes.add(setting, line, rule);
                        continue;
                    }
                    Some(id) => id.to_owned(),
                    None if several => format!("{setting} line {line}"),
                    None => format!("line {line}"),
                };
                let named = Named {
                    policy: policy.new_id(PolicyId::new(&name)),
                    text: number,
                    line,
                };
                if let Some(other) = policies.insert(PolicyId::new(&name), named) {
                    let other = match texts.get(other.text) {
                        Some((elsewhere, _)) if other.text != number => format!("{elsewhere} line {}", other.line),
                        _ => format!("line {}", other.line),
                    };
                    mistakes.add(setting, line, format!("{other} has a policy {name:?} too"));
                }
            }
        }
        if let (true, true, Some((setting, _))) = (policies.is_empty(), mistakes.is_empty(), texts.first()) {
            mistakes.add(setting, None, "there is no policy, so nothing would be permitted");
        }
        if texts.is_empty() {
            mistakes.add("policies", None, "the list is empty, so nothing would be permitted");
        }
        Self { texts, policies }
    }

    /// The policies.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values().map(|named| &named.policy)
    }

    /// The methods that they name, other than the common ones.
    pub(crate) fn methods(&self) -> BTreeSet<String> {
        let literals = self.iter().flat_map(Policy::entity_literals);
        let actions = literals.filter(|literal| literal.type_name().basename() == "Action");
        let methods = actions.map(|action| action.id().unescaped().to_owned());
        methods
            .filter(|method| methods::is_known(method) && !methods::COMMON.contains(&method.as_str()))
            .collect()
    }

    /// Checks the policies against the schema, and for what can never be.
    pub(crate) fn validate(&self, schema: Schema, mistakes: &mut Mistakes) {
        let mut set = PolicySet::new();
        for (name, named) in &self.policies {
            // The names are unique, and no policy is a template's.
            if let Err(error) = set.add(named.policy.clone()) {
                self.note(name, &error, mistakes);
            }
            for literal in named.policy.entity_literals() {
                let id = literal.id().unescaped().to_owned();
                if literal.type_name().basename() == "Path" && place::tidy(&id) != id {
                    let message = format!(
                        "policy {:?}: no path is Path::{id:?}; write Path::{:?}",
                        AsRef::<str>::as_ref(name),
                        place::tidy(&id)
                    );
                    self.note_message(name, &message, mistakes);
                }
            }
        }
        let found = Validator::new(schema).validate(&set, ValidationMode::Strict);
        for error in found.validation_errors() {
            self.note(error.policy_id(), error, mistakes);
        }
        let wrong: BTreeSet<_> = found.validation_errors().map(|error| error.policy_id()).collect();
        // What is wrong may also be why a policy can't apply.
        for warning in found
            .validation_warnings()
            .filter(|warning| !wrong.contains(warning.policy_id()))
        {
            match warning {
                ValidationWarning::BidiCharsInIdentifier(_)
                | ValidationWarning::BidiCharsInString(_)
                | ValidationWarning::ImpossiblePolicy(_)
                | ValidationWarning::InvalidActionApplication(_) => self.note(warning.policy_id(), warning, mistakes),
                // Names of users and groups may be written in any script.
                _ => {}
            }
        }
    }

    /// Notes a mistake in a policy.
    pub(crate) fn note_message(&self, name: &PolicyId, message: &str, mistakes: &mut Mistakes) {
        if let Some((named, (setting, _))) = self.find(name) {
            mistakes.add(setting, named.line, message);
        }
    }

    fn note(&self, name: &PolicyId, found: &dyn Diagnostic, mistakes: &mut Mistakes) {
        if let Some((named, (setting, text))) = self.find(name) {
            mistakes.add_diagnostic(setting, text, Some(named.line), found);
        }
    }

    fn find(&self, name: &PolicyId) -> Option<(&Named, &(String, &'a str))> {
        let named = self.policies.get(name)?;
        Some((named, self.texts.get(named.text)?))
    }
}

/// The statements of a text with their lines, in order. `None` is a template.
fn statements(set: &PolicySet, text: &str) -> Vec<(usize, Option<Policy>)> {
    let count = set.num_of_policies() + set.num_of_templates();
    let mut statements = Vec::with_capacity(count);
    let (mut offset, mut line_there) = (0, 1);
    for number in 0..count {
        // That is how Cedar numbers them.
        let id = PolicyId::new(format!("policy{number}"));
        let (written, statement) = match (set.policy(&id), set.template(&id)) {
            (Some(policy), _) => (policy.to_cedar(), Some(policy.clone())),
            (None, Some(template)) => (Some(template.to_cedar()), None),
            (None, None) => continue,
        };
        let rest = text.get(offset..).unwrap_or_default();
        let skipped = written
            .as_ref()
            .and_then(|written| rest.find(written))
            .unwrap_or_default();
        line_there += line(rest, skipped) - 1;
        statements.push((line_there, statement));
        let length = written.map(|written| written.len()).unwrap_or_default();
        let passed = rest.get(skipped..skipped + length).unwrap_or_default();
        line_there += passed.matches('\n').count();
        offset += skipped + length;
    }
    statements
}
