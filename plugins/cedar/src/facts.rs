//! What policies are asked about: the principal, the action, the resource and the context, as entities and values of Cedar, made
//! of a request. Only what the policies speak of is made, and asked for.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use cedar_policy::Context;
use cedar_policy::Entities;
use cedar_policy::Entity;
use cedar_policy::EntityTypeName;
use cedar_policy::EntityUid;
use cedar_policy::Policy;
use cedar_policy::RestrictedExpression as Value;
use portcullis_sdk::Principal;
use portcullis_sdk::Request;
use portcullis_sdk::SettingsError;
use portcullis_sdk::User;
use portcullis_sdk::time;

use crate::captures::Captures;
use crate::members::Members;
use crate::mentions::Mentions;
use crate::methods;
use crate::place;
use crate::schema::Types;
use crate::schema::uid;
use crate::settings::AttributeType;

/// How requests become questions to policies.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) types: Types,
    pub(crate) mentions: Mentions,
    pub(crate) members: Members,
    pub(crate) attributes: BTreeMap<String, AttributeType>,
    pub(crate) captures: Captures,
    /// The groups that policies name. Nobody asks whether a user is in another one.
    pub(crate) groups: BTreeSet<String>,
    /// The paths that policies name.
    pub(crate) paths: BTreeSet<String>,
}

/// A question to policies.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: cedar_policy::Request,
    pub(crate) entities: Entities,
    /// The principal and the groups that it is in.
    pub(crate) principals: BTreeSet<EntityUid>,
    /// The resource and the paths that it is in.
    pub(crate) resources: BTreeSet<EntityUid>,
}

/// Why no policy can be asked.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Unasked {
    /// The request isn't one that policies could permit.
    Refused(String),
    /// Cedar can't take what it is made of.
    Failed(String),
}

impl Unasked {
    fn failed(error: &dyn std::error::Error) -> Self {
        Self::Failed(crate::mistakes::with_causes(error))
    }
}

impl Facts {
    pub(crate) fn new(
        mentions: Mentions,
        members: Members,
        attributes: BTreeMap<String, AttributeType>,
        captures: Captures,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            types: Types::new()?,
            mentions,
            members,
            attributes,
            captures,
            groups: BTreeSet::new(),
            paths: BTreeSet::new(),
        })
    }

    /// Notes the entities that a policy names.
    pub(crate) fn note_literals(&mut self, policy: &Policy) {
        for literal in policy.entity_literals() {
            let id = literal.id().unescaped().to_owned();
            if *literal.type_name() == self.types.group {
                self.groups.insert(id);
            } else if *literal.type_name() == self.types.path {
                self.paths.insert(id);
            }
        }
    }

    /// Whether the answers depend on the time.
    pub(crate) fn depend_on_time(&self) -> bool {
        self.mentions.attribute("time") || self.mentions.attribute("weekday")
    }

    /// The questions about a request, one for each reading of its path. All must be answered with yes.
    pub(crate) fn questions(&self, request: &Request, principal: Option<&Principal>) -> Result<Vec<Question>, Unasked> {
        let (who, principals) = self.principal(principal)?;
        let action = self.action(request)?;
        let context = self.context(request, principal)?;
        let questions = self.resources(request)?.into_iter().map(|(what, resources)| {
            let request = cedar_policy::Request::new(who.uid(), action.uid(), what.uid(), context.clone(), None);
            Ok(Question {
                request: request.map_err(|error| Unasked::failed(&error))?,
                entities: Entities::from_entities([who.clone(), action.clone(), what], None)
                    .map_err(|error| Unasked::failed(&error))?,
                principals: principals.clone(),
                resources,
            })
        });
        questions.collect()
    }

    fn principal(&self, principal: Option<&Principal>) -> Result<(Entity, BTreeSet<EntityUid>), Unasked> {
        let Some(Principal { user, .. }) = principal else {
            return entity(&self.types.anonymous, "", HashMap::new(), BTreeSet::new());
        };
        let speak_of_groups = self.mentions.attribute("groups");
        let groups = match self.groups.is_empty() && !speak_of_groups {
            true => BTreeSet::new(),
            false => self.members.groups(&user.name, &user.groups),
        };
        let mut attributes = HashMap::new();
        if self.mentions.attribute("name") {
            attributes.insert("name".to_owned(), text(&user.name));
        }
        if self.mentions.attribute("admin") {
            attributes.insert("admin".to_owned(), Value::new_bool(user.admin));
        }
        if speak_of_groups {
            attributes.insert(
                "groups".to_owned(),
                Value::new_set(groups.iter().map(|group| text(group))),
            );
        }
        for (name, kind) in &self.attributes {
            if self.mentions.attribute(name) {
                attributes.extend(self.attribute(user, name, *kind)?.map(|value| (name.clone(), value)));
            }
        }
        let named = groups.into_iter().filter(|group| self.groups.contains(*group));
        let above = named.map(|group| uid(&self.types.group, group)).collect();
        entity(&self.types.user, &user.name, attributes, above)
    }

    /// What the operator wrote of a user counts more than what an authenticator says.
    fn attribute(&self, user: &User, name: &str, kind: AttributeType) -> Result<Option<Value>, Unasked> {
        let said = user.attributes.iter().filter(|(said, _)| said == name);
        let said: BTreeSet<&str> = match self.members.attribute(&user.name, name) {
            Some(values) => values.iter().map(String::as_str).collect(),
            None => said.map(|(_, value)| value.as_str()).collect(),
        };
        match (kind, said.len()) {
            (AttributeType::Texts, _) => Ok(Some(Value::new_set(said.into_iter().map(text)))),
            (AttributeType::Text, 0 | 1) => Ok(said.first().map(|value| text(value))),
            (AttributeType::Text, count) => Err(Unasked::Refused(format!(
                "the user's attribute {name:?} has {count} values (settings: attributes)"
            ))),
        }
    }

    fn action(&self, request: &Request) -> Result<Entity, Unasked> {
        // Any method is as good as any other if no policy speaks of it.
        let method = match self.mentions.action {
            true => request.method(),
            false => "GET".to_owned(),
        };
        let group = uid(&self.types.action, methods::group(&method));
        let (action, _) = entity(&self.types.action, &method, HashMap::new(), BTreeSet::from([group]))?;
        Ok(action)
    }

    fn context(&self, request: &Request, principal: Option<&Principal>) -> Result<Context, Unasked> {
        let mut values = Vec::new();
        let mut add = |name: &str, value| values.push((name.to_owned(), value));
        if self.mentions.attribute("authenticator") {
            let by = principal.map(|principal| principal.authenticator.as_str());
            add("authenticator", text(by.unwrap_or_default()));
        }
        if self.mentions.attribute("certificate") {
            add("certificate", Value::new_bool(request.client_certificate().is_some()));
        }
        if self.mentions.attribute("client") {
            add("client", Value::new_ip(client(request)?.to_string()));
        }
        if self.depend_on_time() {
            let now = time::now();
            add(
                "time",
                Value::new_datetime(humantime::format_rfc3339_millis(now).to_string()),
            );
            add("weekday", text(weekday(now)));
        }
        Context::from_pairs(values).map_err(|error| Unasked::failed(&error))
    }

    fn resources(&self, request: &Request) -> Result<Vec<(Entity, BTreeSet<EntityUid>)>, Unasked> {
        let mut attributes = HashMap::new();
        if self.mentions.attribute("host") {
            attributes.insert("host".to_owned(), text(&host(request)));
        }
        if self.mentions.attribute("route") {
            attributes.insert("route".to_owned(), text(&request.route().unwrap_or_default()));
        }
        if self.mentions.attribute("scheme") {
            attributes.insert("scheme".to_owned(), text(&request.scheme()));
        }
        let speak_of_path = self.mentions.attribute("path");
        let captured = Vec::from_iter(self.captures.names().filter(|name| self.mentions.attribute(name)));
        if !self.mentions.resource && !speak_of_path && captured.is_empty() {
            return Ok(vec![entity(&self.types.path, "/", attributes, BTreeSet::new())?]);
        }
        let readings = place::readings(&request.path());
        let readings = readings.map_err(Unasked::Refused)?.into_iter();
        let resources = readings.map(|path| {
            let mut attributes = attributes.clone();
            if !captured.is_empty() {
                attributes.extend(
                    self.captures
                        .of(&path)
                        .map(|(name, value)| (name.to_owned(), text(value))),
                );
            }
            if speak_of_path {
                attributes.insert("path".to_owned(), text(&path));
            }
            let named = place::ancestors(&path).filter(|above| self.paths.contains(*above));
            let above = named.map(|above| uid(&self.types.path, above)).collect();
            entity(&self.types.path, &path, attributes, above)
        });
        resources.collect()
    }
}

/// An entity, and the entities that it is in, itself among them.
fn entity(
    kind: &EntityTypeName,
    id: &str,
    attributes: HashMap<String, Value>,
    above: BTreeSet<EntityUid>,
) -> Result<(Entity, BTreeSet<EntityUid>), Unasked> {
    let uid = uid(kind, id);
    let parents: HashSet<_> = above.iter().filter(|above| **above != uid).cloned().collect();
    let entity = Entity::new(uid.clone(), attributes, parents).map_err(|error| Unasked::failed(&error))?;
    Ok((entity, above.into_iter().chain([uid]).collect()))
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

/// The client's address. An IPv4 address that is written as one of IPv6 is the IPv4 address.
fn client(request: &Request) -> Result<IpAddr, Unasked> {
    let address = request.client_address();
    let address =
        address.ok_or_else(|| Unasked::Refused("the client's address is unknown, and a policy asks for it".into()))?;
    let address: Result<IpAddr, _> = address.parse();
    address
        .map(|address| address.to_canonical())
        .map_err(|_| Unasked::Failed("the client's address is none".to_owned()))
}

/// The host without its port, in lower case. Empty if the client sent none.
fn host(request: &Request) -> String {
    let authority = request.authority().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &authority,
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The day of the week in UTC. 1970-01-01 was a Thursday.
fn weekday(now: SystemTime) -> &'static str {
    const DAYS: [&str; 7] = [
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
    ];
    let days = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    let day = usize::try_from(days % 7).unwrap_or_default();
    DAYS.get(day).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_sdk::testing::RequestBuilder;

    use super::*;

    #[test]
    fn the_host_has_no_port() {
        for (authority, expected) in [
            (Some("API.example:8443"), "api.example"),
            (Some("api.example."), "api.example"),
            (Some("api.example.:443"), "api.example"),
            (Some("[2001:db8::1]:443"), "[2001:db8::1]"),
            (Some("[2001:db8::1]"), "[2001:db8::1]"),
            (None, ""),
        ] {
            let request = RequestBuilder::get("/").authority(authority.map(str::to_owned)).build();
            assert_eq!(host(&request), expected, "{authority:?}");
        }
    }

    #[test]
    fn a_day_has_its_name() {
        for (day, expected) in [
            ("2026-11-29", "Sunday"),
            ("1970-01-01", "Thursday"),
            ("2000-02-29", "Tuesday"),
        ] {
            let midnight = humantime::parse_rfc3339(&format!("{day}T00:00:00Z")).unwrap();
            assert_eq!(weekday(midnight), expected, "{day}");
            assert_eq!(weekday(midnight + Duration::from_secs(86_399)), expected, "{day}");
        }
    }
}
