//! The schema that policies are validated against, and the names of its types.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::str::FromStr;

use cedar_policy::EntityId;
use cedar_policy::EntityTypeName;
use cedar_policy::EntityUid;
use cedar_policy::Schema;
use portcullis_sdk::SettingsError;

use crate::methods;
use crate::settings::AttributeType;

/// What the settings add to the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Additions<'a> {
    /// Attributes of users.
    pub(crate) attributes: &'a BTreeMap<String, AttributeType>,
    /// Attributes of resources.
    pub(crate) captures: &'a BTreeSet<String>,
    /// Whether requests without a user are asked about.
    pub(crate) anonymous: bool,
}

/// The attributes that users have in any case.
pub(crate) const OF_USER: [&str; 3] = ["admin", "groups", "name"];

/// The attributes that resources have in any case.
pub(crate) const OF_PATH: [&str; 4] = ["host", "path", "route", "scheme"];

/// The schema of policies that name these methods.
pub(crate) fn of_policies(additions: Additions<'_>, named: &BTreeSet<String>) -> Result<Schema, SettingsError> {
    let Additions {
        attributes,
        captures,
        anonymous,
    } = additions;
    let attributes: String = attributes
        .iter()
        .map(|(name, kind)| match kind {
            AttributeType::Text => format!("  {name:?}?: String,\n"),
            AttributeType::Texts => format!("  {name:?}: Set<String>,\n"),
        })
        .collect();
    let captures: String = captures.iter().map(|name| format!("  {name:?}?: String,\n")).collect();
    let methods = methods::COMMON.into_iter().chain(named.iter().map(String::as_str));
    let mut members = BTreeMap::from([("read", BTreeSet::new()), ("write", BTreeSet::new())]);
    for method in methods {
        members.entry(methods::group(method)).or_default().insert(method);
    }
    let principals = if anonymous { "[User, Anonymous]" } else { "User" };
    let actions: String = members
        .iter()
        .map(|(group, methods)| {
            let methods = Vec::from_iter(methods.iter().map(|method| format!("{method:?}")));
            format!(
                "action {} in {group} appliesTo {{ principal: {principals}, resource: Path, context: Context }};\n",
                methods.join(", ")
            )
        })
        .collect();
    let text = format!(
        "entity Group in Group;
entity User in Group = {{
  name: String,
  groups: Set<String>,
  admin: Bool,
{attributes}}};
entity Anonymous;
entity Path in Path = {{
  path: String,
  host: String,
  route: String,
  scheme: String,
{captures}}};
type Context = {{
  authenticator: String,
  certificate: Bool,
  client: ipaddr,
  time: datetime,
  weekday: String,
}};
action read, write;
{actions}"
    );
    parse(&text)
}

/// The schema of the entities that the operator writes: users with what their authenticator may leave out, and groups.
pub(crate) fn of_entities(attributes: &BTreeMap<String, AttributeType>) -> Result<Schema, SettingsError> {
    let attributes: String = attributes
        .iter()
        .map(|(name, kind)| match kind {
            AttributeType::Text => format!("  {name:?}?: String,\n"),
            AttributeType::Texts => format!("  {name:?}?: Set<String>,\n"),
        })
        .collect();
    parse(&format!(
        "entity Group in Group;\nentity User in Group = {{\n{attributes}}};\n"
    ))
}

fn parse(text: &str) -> Result<Schema, SettingsError> {
    let schema = Schema::from_cedarschema_str(text);
    schema
        .map(|(schema, _)| schema)
        .map_err(|error| SettingsError::from(format!("the schema of these settings can't be read: {error}")))
}

/// The types of entities.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    pub(crate) action: EntityTypeName,
    pub(crate) anonymous: EntityTypeName,
    pub(crate) group: EntityTypeName,
    pub(crate) path: EntityTypeName,
    pub(crate) user: EntityTypeName,
}

impl Types {
    pub(crate) fn new() -> Result<Self, SettingsError> {
        let named = |name| EntityTypeName::from_str(name).map_err(|error| SettingsError::from(error.to_string()));
        Ok(Self {
            action: named("Action")?,
            anonymous: named("Anonymous")?,
            group: named("Group")?,
            path: named("Path")?,
            user: named("User")?,
        })
    }
}

/// An entity of a type.
pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
