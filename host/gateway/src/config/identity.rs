//! `[routes.identity]`: what an upstream learns about the user, and in which headers.

use std::collections::HashSet;

use http::HeaderName;
use http::header;

use crate::config::Secret;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::secret::secret;
use crate::config::values;
use crate::serve::headers::fold;

/// What an upstream learns about the user. No client may send one of these headers itself.
#[derive(Clone, Debug)]
pub(crate) struct IdentityHeaders {
    /// Carries the user's name.
    pub(crate) user: HeaderName,
    /// Carries the groups, joined by commas.
    pub(crate) groups: HeaderName,
    /// Carries `true` or `false`.
    pub(crate) admin: Option<HeaderName>,
    /// An attribute's name, and the header that carries it.
    pub(crate) attributes: Vec<(String, HeaderName)>,
    /// Sent with the user's name as `Authorization: Basic`.
    pub(crate) basic_password: Option<Secret>,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            user: HeaderName::from_static("x-forwarded-user"),
            groups: HeaderName::from_static("x-forwarded-groups"),
            admin: None,
            attributes: Vec::new(),
            basic_password: None,
        }
    }
}

impl IdentityHeaders {
    /// Every header name that carries identity.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let attributes = self.attributes.iter().map(|(_, header)| header);
        [&self.user, &self.groups]
            .into_iter()
            .chain(&self.admin)
            .chain(attributes)
    }

    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = Self::default();
        let user = table.take("user").and_then(header);
        let groups = table.take("groups").and_then(header);
        let admin = table.take("admin").and_then(header);
        let attributes = table
            .take("attributes")
            .and_then(Item::table)
            .map(attributes)
            .unwrap_or_default();
        let basic_password = table.take("basic_password").and_then(secret);
        let headers = Self {
            user: user.unwrap_or(default.user),
            groups: groups.unwrap_or(default.groups),
            admin,
            attributes,
            basic_password,
        };
        let mut seen = HashSet::new();
        for name in headers.names().filter(|name| !seen.insert(fold(name))) {
            table.place.report(format!("the header {name} carries two things"));
        }
        table.finish();
        headers
    }
}

fn attributes(table: Table<'_>) -> Vec<(String, HeaderName)> {
    table
        .into_entries()
        .filter_map(|(attribute, item)| Some((attribute, header(item)?)))
        .collect()
}

fn header(item: Item<'_>) -> Option<HeaderName> {
    let place = item.place.clone();
    let name = values::header_name(item)?;
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| fold(&name).starts_with(prefix)) {
        place.report(format!("{name} means something else in HTTP"));
        return None;
    }
    Some(name)
}

const RESERVED: [HeaderName; 17] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    header::ORIGIN,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VIA,
];

const RESERVED_PREFIXES: [&str; 8] = [
    "proxy-",
    "sec-",
    "keep-alive",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];
