//! Policies, entities and requests that are made up from a seed, and what the crate `cedar-policy` decides about them when it is
//! given everything at once: all policies as one set, all entities in a hierarchy of its own making. Nothing of the plugin is used.

use std::fmt::Write as _;
use std::str::FromStr;

use cedar_policy::Authorizer;
use cedar_policy::Context;
use cedar_policy::Decision;
use cedar_policy::Entities;
use cedar_policy::EntityUid;
use cedar_policy::PolicySet;
use cedar_policy::Request;
use fastrand::Rng;
use serde_json::Value;
use serde_json::json;

/// What is asked.
pub(crate) struct World {
    /// The policies, in Cedar.
    pub(crate) policies: String,
    /// The operator's entities.
    pub(crate) entities: Value,
    set: PolicySet,
    groups: Entities,
    rng: Rng,
}

/// A request, and what is decided about it.
pub(crate) struct Case {
    /// The method.
    pub(crate) method: &'static str,
    /// The path as it is sent.
    pub(crate) path: String,
    /// The `Host`.
    pub(crate) host: &'static str,
    /// The client's address.
    pub(crate) client: &'static str,
    /// The name of the user.
    pub(crate) user: String,
    /// The groups of the user, by the authenticator.
    pub(crate) groups: Vec<String>,
    /// Whether the user is an administrator.
    pub(crate) admin: bool,
    /// Whether the policies permit it.
    pub(crate) permitted: bool,
    /// The policies that decided, by `@id`, sorted.
    pub(crate) deciding: Vec<String>,
}

/// The authenticator of all users.
pub(crate) const AUTHENTICATOR: &str = "people";

/// What the plugin is told to capture.
pub(crate) const CAPTURE: &str = "^/(?<team>[a-z]+)/";

const SEGMENTS: [&str; 6] = ["api", "v1", "v2", "admin", "files", "x"];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE", "PROPFIND"];
const HOSTS: [&str; 3] = ["api.example", "hub.example", "other.example"];
const CLIENTS: [&str; 4] = ["10.1.2.3", "192.0.2.9", "2001:db8::7", "10.255.0.1"];
const GROUPS: usize = 12;
const USERS: usize = 20;

impl World {
    /// Makes policies and entities.
    pub(crate) fn new(seed: u64, policies: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut text = String::new();
        for number in 0..policies {
            let _ = writeln!(text, "@id(\"p{number}\")\n{}", policy(&mut rng));
        }
        let user = |rng: &mut Rng, number: usize| entity("User", &format!("u{number}"), &some_groups(rng, GROUPS));
        // A group is in groups with higher numbers only, so that there is no circle.
        let group = |rng: &mut Rng, number: usize| {
            let above = Vec::from_iter(
                (number + 1..GROUPS)
                    .filter(|_| rng.u8(..) < 32)
                    .map(|above| format!("g{above}")),
            );
            entity("Group", &format!("g{number}"), &above)
        };
        let users = Vec::from_iter((0..USERS / 2).map(|number| user(&mut rng, number)));
        let groups = Vec::from_iter((0..GROUPS).map(|number| group(&mut rng, number)));
        Self {
            set: PolicySet::from_str(&text).unwrap(),
            groups: Entities::from_json_value(Value::Array(groups.clone()), None).unwrap(),
            policies: text,
            entities: Value::Array(users.into_iter().chain(groups).collect()),
            rng,
        }
    }

    /// Makes a request.
    pub(crate) fn next(&mut self) -> Case {
        let rng = &mut self.rng;
        let meant = path(rng);
        let mut case = Case {
            method: pick(rng, &METHODS),
            path: sent(rng, &meant),
            host: pick(rng, &HOSTS),
            client: pick(rng, &CLIENTS),
            user: format!("u{}", rng.usize(..USERS)),
            groups: some_groups(rng, GROUPS),
            admin: rng.u8(..) < 32,
            permitted: false,
            deciding: Vec::new(),
        };
        self.decide(&mut case, &meant);
        case
    }

    fn decide(&self, case: &mut Case, path: &str) {
        let mut entities = Vec::new();
        // The groups by name, as policies read them: those of both, and what they are in.
        let mut names = case.groups.clone();
        let listed = |kind: &str, id: &str| -> Vec<String> {
            let found = self.entities.as_array().unwrap().iter();
            let found = found.filter(|entity| entity["uid"]["type"] == kind && entity["uid"]["id"] == id);
            let parents = found.flat_map(|entity| entity["parents"].as_array().unwrap());
            parents
                .map(|parent| parent["id"].as_str().unwrap().to_owned())
                .collect()
        };
        names.extend(listed("User", &case.user));
        let mut next = 0;
        while next < names.len() {
            names.extend(listed("Group", &names[next].clone()));
            next += 1;
        }
        names.sort();
        names.dedup();
        let both = [case.groups.clone(), listed("User", &case.user)].concat();
        let mut user = entity("User", &case.user, &both);
        user["attrs"] = json!({ "name": case.user, "admin": case.admin, "groups": names });
        entities.push(user);
        let team = path
            .strip_prefix('/')
            .and_then(|rest| rest.split_once('/'))
            .map(|(team, _)| team);
        let mut below: Option<&str> = None;
        let ends = path.match_indices('/').map(|(end, _)| end).skip(1).chain([path.len()]);
        for end in ends.filter(|_| path != "/") {
            let here = &path[..end];
            entities.push(entity_in("Path", here, "Path", &[below.unwrap_or("/").to_owned()]));
            below = Some(here);
        }
        entities.push(entity("Path", "/", &[]));
        let resource = entities
            .iter_mut()
            .find(|entity| entity["uid"] == json!({ "type": "Path", "id": path }));
        let resource = resource.unwrap();
        resource["attrs"] = json!({ "path": path, "host": case.host, "scheme": "http" });
        // Only lower-case letters are captured.
        if let Some(team) = team.filter(|team| team.bytes().all(|byte| byte.is_ascii_lowercase())) {
            resource["attrs"]["team"] = json!(team);
        }
        let group = if ["GET", "HEAD", "OPTIONS", "PROPFIND"].contains(&case.method) {
            "read"
        } else {
            "write"
        };
        entities.push(entity_in("Action", case.method, "Action", &[group.to_owned()]));
        let entities = self
            .groups
            .clone()
            .add_entities_from_json_value(Value::Array(entities), None)
            .unwrap();
        let context = json!({
            "authenticator": AUTHENTICATOR,
            "certificate": false,
            "client": { "__extn": { "fn": "ip", "arg": case.client } },
        });
        let request = Request::new(
            uid("User", &case.user),
            uid("Action", case.method),
            uid("Path", path),
            Context::from_json_value(context, None).unwrap(),
            None,
        );
        let response = Authorizer::new().is_authorized(&request.unwrap(), &self.set, &entities);
        assert_eq!(response.diagnostics().errors().count(), 0);
        case.permitted = response.decision() == Decision::Allow;
        let names = response.diagnostics().reason();
        let names = names.map(|id| self.set.annotation(id, "id").unwrap().to_owned());
        case.deciding = names.collect();
        case.deciding.sort();
    }
}

fn policy(rng: &mut Rng) -> String {
    let effect = if rng.u8(..) < 192 { "permit" } else { "forbid" };
    let (group, user) = (rng.usize(..GROUPS), rng.usize(..USERS));
    let principal = match rng.u8(..6) {
        0 => "principal".to_owned(),
        1 => format!("principal == User::\"u{user}\""),
        2 => "principal is User".to_owned(),
        3 => format!("principal is User in Group::\"g{group}\""),
        _ => format!("principal in Group::\"g{group}\""),
    };
    let action = match rng.u8(..5) {
        0 => "action".to_owned(),
        1 => format!("action == Action::\"{}\"", pick(rng, &METHODS[..6])),
        2 => "action in [Action::\"GET\", Action::\"PROPFIND\", Action::\"PUT\"]".to_owned(),
        3 => "action in Action::\"read\"".to_owned(),
        _ => "action in Action::\"write\"".to_owned(),
    };
    let resource = match rng.u8(..4) {
        0 => "resource".to_owned(),
        1 => format!("resource == Path::\"{}\"", path(rng)),
        _ => format!("resource in Path::\"{}\"", path(rng)),
    };
    let mut text = format!("{effect} ({principal}, {action}, {resource})");
    for _ in 0..rng.usize(..3) {
        let word = if rng.bool() { "when" } else { "unless" };
        let _ = write!(text, " {word} {{ {} }}", condition(rng));
    }
    text + ";"
}

fn condition(rng: &mut Rng) -> String {
    let group = rng.usize(..GROUPS);
    match rng.u8(..10) {
        0 => "context.client.isInRange(ip(\"10.0.0.0/9\"))".to_owned(),
        1 => "context.client.isIpv6()".to_owned(),
        2 => format!("resource.host == \"{}\"", pick(rng, &HOSTS)),
        3 => "principal.admin".to_owned(),
        4 => format!("principal.groups.contains(\"g{group}\")"),
        5 => format!("resource.path like \"/{}/*\"", pick(rng, &SEGMENTS)),
        6 => format!("resource has team && resource.team == \"{}\"", pick(rng, &SEGMENTS)),
        7 => format!(
            "principal in [Group::\"g{group}\", Group::\"g{}\"]",
            rng.usize(..GROUPS)
        ),
        8 => format!("resource in [Path::\"{}\", Path::\"{}\"]", path(rng), path(rng)),
        _ => format!("principal.name like \"u1*\" || context.authenticator != \"{AUTHENTICATOR}\""),
    }
}

fn path(rng: &mut Rng) -> String {
    let segments = (0..rng.usize(..5)).map(|_| format!("/{}", pick(rng, &SEGMENTS)));
    let path: String = segments.collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

/// A way to write a path.
fn sent(rng: &mut Rng, path: &str) -> String {
    match rng.u8(..8) {
        0 => path.replace('v', "%76"),
        1 => path.replace('x', "%78"),
        2 if path != "/" => format!("{path}/"),
        _ => path.to_owned(),
    }
}

fn some_groups(rng: &mut Rng, count: usize) -> Vec<String> {
    let groups = (0..count).filter(|_| rng.u8(..) < 40);
    groups.map(|group| format!("g{group}")).collect()
}

fn pick(rng: &mut Rng, among: &[&'static str]) -> &'static str {
    among[rng.usize(..among.len())]
}

fn entity(kind: &str, id: &str, groups: &[String]) -> Value {
    entity_in(kind, id, "Group", groups)
}

fn entity_in(kind: &str, id: &str, above: &str, parents: &[String]) -> Value {
    let parents = Vec::from_iter(parents.iter().map(|parent| json!({ "type": above, "id": parent })));
    json!({ "uid": { "type": kind, "id": id }, "attrs": {}, "parents": parents })
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::{id:?}")).unwrap()
}
