//! `[routes.require]`: which of the authenticated users may use a route.

use std::fmt;

use portcullis::decision::Identity;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;

/// The maximum number of values in all lists together.
const MAX_VALUES: usize = 1000;

/// Which users may use a route: those who are in one of the lists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Require {
    users: Vec<String>,
    groups: Vec<String>,
    /// Attributes of the identity, each with the values that are accepted.
    claims: Vec<(String, Vec<String>)>,
}

impl Require {
    /// Returns `None` if the table requires nothing, which is reported.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let place = table.place.clone();
        let mut list = |key| values::each(table.take(key), Item::text);
        let (users, groups) = (list("users"), list("groups"));
        let claims = table.take("claims").and_then(Item::table);
        let claims = claims.into_iter().flat_map(Table::into_entries);
        let claims = Vec::from_iter(claims.map(|(name, item)| (name, values::each(Some(item), Item::text))));
        table.finish();
        let count = users.len() + groups.len() + claims.iter().map(|(_, values)| values.len()).sum::<usize>();
        if count == 0 {
            place.report("requires nothing: list users, groups or claims");
            return None;
        }
        if count > MAX_VALUES {
            place.report(format!("more than {MAX_VALUES} values"));
        }
        Some(Self { users, groups, claims })
    }

    /// Says what the route requires and what the user has instead.
    pub(crate) fn shortfall(&self, user: &Identity) -> String {
        let mut found = Vec::new();
        if !self.groups.is_empty() {
            found.push(match user.groups() {
                [] => "no groups".to_owned(),
                groups => format!("groups {}", shown(groups)),
            });
        }
        found.extend(self.claims.iter().map(|(name, _)| match user.attribute(name) {
            Some(value) => format!("{name} {value:?}"),
            None => format!("no {name}"),
        }));
        let found = if found.is_empty() {
            String::new()
        } else {
            format!(", and the user has {}", found.join("; "))
        };
        format!("the route requires {self}{found}")
    }

    /// Whether a user is in one of the lists.
    pub(crate) fn is_met_by(&self, user: &Identity) -> bool {
        let claim = |(name, accepted): &(String, Vec<String>)| {
            user.attribute(name)
                .is_some_and(|value| accepted.iter().any(|accepted| accepted == value))
        };
        self.users.iter().any(|name| name == user.name())
            || self.groups.iter().any(|group| user.groups().contains(group))
            || self.claims.iter().any(claim)
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.users.is_empty() {
            parts.push(format!("users {}", shown(&self.users)));
        }
        if !self.groups.is_empty() {
            parts.push(format!("groups {}", shown(&self.groups)));
        }
        parts.extend(
            self.claims
                .iter()
                .map(|(name, values)| format!("{name} {}", shown(values))),
        );
        f.write_str(&parts.join("; "))
    }
}

/// The first values of a list, which may be long.
fn shown(values: &[String]) -> String {
    let first = values.iter().take(MAX_SHOWN).map(String::as_str);
    let more = values.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", Vec::from_iter(first).join(", "))
}

/// How many values of a list are shown.
const MAX_SHOWN: usize = 10;
