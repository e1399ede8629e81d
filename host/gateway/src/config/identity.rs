//! `[routes.identity]`: the identity headers, which tell an upstream who the user is. The gateway removes them from every
//! request of a client.

use http::HeaderName;
use http::HeaderValue;
use http::header;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Kind;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::secret::secret;
use portcullis_loader::config::values;
use portcullis_wire::header_names::fold;

use crate::config::HeaderTemplate;
use crate::config::Secret;
use crate::config::SentGroups;
use crate::config::assertion;
use crate::config::sent_groups::groups;

/// The identity headers of a route.
#[derive(Clone, Debug)]
pub(crate) struct IdentityHeaders {
    /// Carries the user's name.
    pub(crate) user: HeaderName,
    /// Carries the groups, joined by commas.
    pub(crate) groups: HeaderName,
    /// The groups that are sent.
    pub(crate) sent_groups: SentGroups,
    /// Carries `true` or `false`.
    pub(crate) admin: Option<HeaderName>,
    /// Carry the attributes.
    pub(crate) attributes: Vec<AttributeHeader>,
    /// Carry what their templates say.
    pub(crate) templates: Vec<(HeaderName, HeaderTemplate)>,
    /// Carries an assertion. `None` if the upstream gets none.
    pub(crate) assertion: Option<AssertionHeader>,
    /// The password that is sent with the user's name as `Authorization: Basic`.
    pub(crate) basic_password: Option<Secret>,
    /// Prove to the upstream that the identity comes from the gateway. The values are marked as sensitive.
    pub(crate) shared_secret: Vec<(HeaderName, HeaderValue)>,
}

/// An attribute and the header that carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AttributeHeader {
    /// The authenticator or authorizer that the attribute comes from. `None` for the only authenticator of the route.
    pub(crate) source: Option<String>,
    /// The name of the attribute. Its meaning may differ between plugins.
    pub(crate) attribute: String,
    /// Carries the value of the attribute.
    pub(crate) header: HeaderName,
}

/// The header that carries an assertion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AssertionHeader {
    /// The header.
    pub(crate) header: HeaderName,
    /// Whom the assertion is for: the claim `aud`.
    pub(crate) audience: String,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            user: HeaderName::from_static("x-forwarded-user"),
            groups: HeaderName::from_static("x-forwarded-groups"),
            sent_groups: SentGroups::All,
            admin: None,
            attributes: Vec::new(),
            templates: Vec::new(),
            assertion: None,
            basic_password: None,
            shared_secret: Vec::new(),
        }
    }
}

impl IdentityHeaders {
    /// The names of all identity headers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let attributes = self.attributes.iter().map(|attribute| &attribute.header);
        self.common().chain(attributes)
    }

    /// Whether the upstream recognises the gateway by a secret.
    pub(crate) fn has_secret(&self) -> bool {
        self.basic_password.is_some() || !self.shared_secret.is_empty()
    }

    /// Removes the secrets, for an upstream that isn't trusted with them. It could show a user's assertion to others, too.
    pub(crate) fn without_secrets(self) -> Self {
        Self {
            assertion: None,
            basic_password: None,
            shared_secret: Vec::new(),
            ..self
        }
    }

    /// The headers that don't depend on the authenticator.
    fn common(&self) -> impl Iterator<Item = &HeaderName> {
        let secrets = self.shared_secret.iter().map(|(name, _)| name);
        let templates = self.templates.iter().map(|(name, _)| name);
        let assertion = self.assertion.iter().map(|assertion| &assertion.header);
        [&self.user, &self.groups]
            .into_iter()
            .chain(&self.admin)
            .chain(templates)
            .chain(assertion)
            .chain(secrets)
    }

    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = Self::default();
        table.default("user", default.user.as_str());
        let user = table.take("user").and_then(header);
        table.default("groups", default.groups.as_str());
        let (groups, sent_groups) = groups(&mut table);
        let admin = table.take("admin").and_then(header);
        let attributes = table
            .take("attributes")
            .and_then(Item::table)
            .map(attributes)
            .unwrap_or_default();
        let templates = table.take("headers").and_then(Item::table).map(templates);
        let assertion = table.take("assertion").and_then(Item::table).and_then(assertion_header);
        let basic_password = table.take("basic_password").and_then(secret);
        let shared_secret = table.take("shared_secret").and_then(Item::table).map(shared_secret);
        let headers = Self {
            user: user.unwrap_or(default.user),
            groups: groups.unwrap_or(default.groups),
            sent_groups,
            admin,
            attributes,
            templates: templates.unwrap_or_default(),
            assertion,
            basic_password,
            shared_secret: shared_secret.unwrap_or_default(),
        };
        for name in headers.duplicates() {
            table.place.report(format!("the header {name} is used twice"));
        }
        table.finish();
        headers
    }

    /// Returns the headers that are used twice. Attributes of different authenticators may share a header, because a user is
    /// authenticated by only one of them.
    fn duplicates(&self) -> Vec<&HeaderName> {
        let common = self.common().map(|header| (header, None));
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|carried| (&carried.header, carried.source.as_ref()));
        let carried = Vec::from_iter(common.chain(attributes));
        let clash = |(index, (header, whose)): &(usize, &(&HeaderName, Option<&String>))| {
            carried.iter().take(*index).any(|(earlier, others)| {
                fold(earlier) == fold(header) && (whose.is_none() || others.is_none() || whose == others)
            })
        };
        let clashing = carried.iter().enumerate().filter(clash);
        clashing.map(|(_, (header, _))| *header).collect()
    }
}

/// Reads `{ email = "X-Email" }`, or `{ hub = { email = "X-Email" } }` for the attributes of one authenticator
/// or authorizer.
fn attributes(table: Table<'_>) -> Vec<AttributeHeader> {
    let attribute = |source: Option<&str>, attribute: &str, item: Item<'_>| {
        Some(AttributeHeader {
            source: source.map(str::to_owned),
            attribute: attribute.to_owned(),
            header: header(item)?,
        })
    };
    let of_source = |source: &str, item: Item<'_>| {
        let entries = item.table().into_iter().flat_map(Table::into_entries);
        Vec::from_iter(entries.filter_map(|(name, item)| attribute(Some(source), &name, item)))
    };
    let entries = table.into_entries().flat_map(|(name, item)| {
        item.either(
            Kind::Table,
            |item| of_source(&name, item),
            |item| Vec::from_iter(attribute(None, &name, item)),
        )
    });
    entries.collect()
}

/// Reads `{ "X-Remote-User" = "{user}@EXAMPLE.ORG" }`.
fn templates(table: Table<'_>) -> Vec<(HeaderName, HeaderTemplate)> {
    named_headers(table, |item| {
        let place = item.place.clone();
        let template = HeaderTemplate::parse(&item.text()?);
        template.map_err(|why| place.report(why)).ok()
    })
}

/// Reads `{ audience = "https://app.example" }`.
fn assertion_header(mut table: Table<'_>) -> Option<AssertionHeader> {
    let audience = table.require("audience").and_then(assertion::name);
    table.default("header", "X-Portcullis-Assertion");
    let header = table
        .take("header")
        .map_or_else(|| Some(HeaderName::from_static("x-portcullis-assertion")), header);
    table.finish();
    Some(AssertionHeader {
        header: header?,
        audience: audience?,
    })
}

/// Reads `{ "X-Portcullis-Secret" = "file:secret" }`.
fn shared_secret(table: Table<'_>) -> Vec<(HeaderName, HeaderValue)> {
    named_headers(table, |item| {
        let place = item.place.clone();
        secret_value(secret(item)?.expose(), &place)
    })
}

/// Reads a table whose keys are names of headers.
fn named_headers<T>(table: Table<'_>, value: impl Fn(Item<'_>) -> Option<T>) -> Vec<(HeaderName, T)> {
    let entry = |(name, item): (String, Item<'_>)| {
        let place = item.place.clone();
        let Ok(name) = name.parse::<HeaderName>() else {
            place.report(format!("{name:?} is not a header name"));
            return None;
        };
        let value = value(item);
        Some((unreserved(name, &place)?, value?))
    };
    table.into_entries().filter_map(entry).collect()
}

fn secret_value(secret: &str, place: &Place<'_>) -> Option<HeaderValue> {
    if secret.len() < MIN_SECRET || secret.bytes().any(|byte| !byte.is_ascii_graphic()) {
        place.report(format!(
            "expected at least {MIN_SECRET} printable ASCII characters without spaces: `portcullis keygen` makes a \
             secret"
        ));
        return None;
    }
    let mut value = HeaderValue::from_str(secret).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Reads the name of an identity header.
pub(super) fn header(item: Item<'_>) -> Option<HeaderName> {
    let place = item.place.clone();
    unreserved(values::header_name(item)?, &place)
}

fn unreserved(name: HeaderName, place: &Place<'_>) -> Option<HeaderName> {
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| fold(&name).starts_with(prefix)) {
        place.report(format!("{name} has another meaning in HTTP"));
        return None;
    }
    Some(name)
}

/// The minimum length of a shared secret. A client that guesses it can pretend to be any user.
const MIN_SECRET: usize = 16;

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
