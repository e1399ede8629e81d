//! `user` of a case: the made-up user about whose request an authorizer is asked.

use portcullis::Role;
use portcullis::decision::Claims;
use portcullis::decision::Identity;

use crate::cases::expectation::texts;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::values;

/// The authenticator that is said to have identified the user, unless the case names one.
const DEFAULT_AUTHENTICATOR: &str = "test";

/// A made-up user.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CaseUser {
    /// The user.
    pub identity: Identity,
    /// The name of the authenticator that is said to have identified the user.
    pub authenticator: String,
}

impl From<Identity> for CaseUser {
    /// The user whom an authenticator of the tests is said to have identified.
    fn from(identity: Identity) -> Self {
        Self {
            identity,
            authenticator: DEFAULT_AUTHENTICATOR.to_owned(),
        }
    }
}

/// Takes the user out of a case of a plugin in this role. `Err` if it has a mistake.
pub(super) fn read(table: &mut Table<'_>, role: Role) -> Result<Option<CaseUser>, ()> {
    let Some(item) = table.take("user") else {
        return Ok(None);
    };
    if role != Role::Authorizer {
        item.place
            .report("isn't allowed here: an authenticator finds out who the user is, which belongs into expect");
        return Err(());
    }
    let place = item.place.clone();
    let before = place.document().error_count();
    let mut table = item.table().ok_or(())?;
    let name = table.require("name").and_then(Item::text);
    let groups = values::each(table.take("groups"), Item::text);
    let admin = table.take("admin").and_then(Item::boolean).unwrap_or_default();
    let attributes = table.take("attributes").and_then(Item::table);
    let attributes = attributes.into_iter().flat_map(Table::into_entries);
    let attributes = attributes.filter_map(|(name, item)| Some((name, texts(item)?)));
    let attributes = attributes.flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)));
    let attributes = attributes.collect();
    let authenticator = table.take("authenticator").and_then(Item::text);
    table.finish();
    let identity = name.and_then(|name| {
        let identity = Identity::try_from(Claims {
            name,
            groups,
            admin,
            attributes,
        });
        identity.map_err(|why| place.report(why.to_string())).ok()
    });
    match identity {
        Some(identity) if place.document().error_count() == before => Ok(Some(CaseUser {
            identity,
            authenticator: authenticator.unwrap_or_else(|| DEFAULT_AUTHENTICATOR.to_owned()),
        })),
        _ => Err(()),
    }
}
