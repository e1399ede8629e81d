//! Who is in which group, and which group in which, beside what the authenticators say: the operator's entities.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use cedar_policy::Entities;
use cedar_policy::Entity;
use cedar_policy::EvalResult;
use cedar_policy::Schema;

use crate::mistakes::Mistakes;
use crate::mistakes::with_causes;

/// The operator's users and groups.
#[derive(Debug, Default)]
pub(crate) struct Members {
    users: BTreeMap<String, Member>,
    /// The groups above each group.
    above: BTreeMap<String, BTreeSet<String>>,
}

/// A user.
#[derive(Debug, Default)]
pub(crate) struct Member {
    groups: BTreeSet<String>,
    attributes: BTreeMap<String, BTreeSet<String>>,
}

impl Members {
    /// Reads entities in Cedar's JSON format.
    pub(crate) fn read(json: &str, schema: &Schema, mistakes: &mut Mistakes) -> Self {
        let entities = match Entities::from_json_str(json, Some(schema)) {
            Ok(entities) => entities,
            Err(error) => {
                let message = with_causes(&error);
                mistakes.add("entities", json_line(&message), message);
                return Self::default();
            }
        };
        let mut members = Self::default();
        for entity in entities.iter() {
            let uid = entity.uid();
            let groups = entities.ancestors(&uid).into_iter().flatten();
            let groups = groups.map(|group| group.id().unescaped().to_owned()).collect();
            let name = uid.id().unescaped().to_owned();
            match uid.type_name().basename() {
                "User" => {
                    let attributes = attributes(entity);
                    members.users.insert(name, Member { groups, attributes });
                }
                "Group" => {
                    members.above.insert(name, groups);
                }
                // The schema has no others, but the actions.
                _ => {}
            }
        }
        members
    }

    /// The groups of a user who is in these by the word of an authenticator.
    pub(crate) fn groups<'a>(&'a self, user: &str, groups: &'a [String]) -> BTreeSet<&'a str> {
        let own = self.users.get(user).into_iter().flat_map(|member| &member.groups);
        let mut all: BTreeSet<&str> = own.map(String::as_str).collect();
        for group in groups {
            all.insert(group);
            all.extend(self.above.get(group).into_iter().flatten().map(String::as_str));
        }
        all
    }

    /// The values of a user's attribute, if the operator wrote it.
    pub(crate) fn attribute(&self, user: &str, name: &str) -> Option<&BTreeSet<String>> {
        self.users.get(user)?.attributes.get(name)
    }
}

fn attributes(user: &Entity) -> BTreeMap<String, BTreeSet<String>> {
    let known = user.attrs().filter_map(|(name, value)| {
        let values = match value.ok()? {
            EvalResult::String(value) => BTreeSet::from([value]),
            EvalResult::Set(values) => values.iter().filter_map(text).collect(),
            _ => return None,
        };
        Some((name.to_owned(), values))
    });
    known.collect()
}

fn text(value: &EvalResult) -> Option<String> {
    match value {
        EvalResult::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The line that a message about JSON names at its end.
fn json_line(message: &str) -> Option<usize> {
    let (_, place) = message.rsplit_once(" at line ")?;
    let (line, _) = place.split_once(" column ")?;
    line.parse().ok().filter(|line| *line > 0)
}
