//! The file of `plugin test`: a plugin's settings, grants and limits with the keys of `NAME.toml`, and requests with what is
//! expected of the plugin. All mistakes in it are found before the plugin is asked anything. The self-test in a manifest has the
//! same cases.

mod answer;
mod ask;
mod compare;
mod expectation;
mod login;
mod play;
mod request;
mod servers;
mod user;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use portcullis::AuthRequest;
use portcullis::Grants;
use portcullis::Manifest;
use portcullis::Role;

use crate::config::document::Document;
use crate::config::document::Environment;
use crate::config::document::MAX_FILE;
use crate::config::error::ConfigError;
use crate::config::error::ConfigErrors;
use crate::config::error::Location;
use crate::config::plugin::PluginConfig;
use crate::config::plugin::PluginSource;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::sources::Sources;
use crate::files::read_text;

pub use answer::Answer;
pub use ask::Outcome;
pub use ask::answer;
pub use ask::ask;
pub use compare::Difference;
pub use expectation::Expectation;
pub use expectation::ExpectedCall;
pub use login::Function;
pub use login::LoginAnswer;
pub use login::LoginCall;
pub use login::LoginCase;
pub use login::LoginExpectation;
pub use login::LoginOutcome;
pub use login::Session;
pub use login::ask_login;
pub use login::flow;
pub use login::signed_out;
pub use play::Call;
pub use play::Play;
pub use servers::Origin;
pub use servers::PlayedResponse;
pub use servers::PlayedServer;
pub use user::CaseUser;

/// The maximum number of cases.
const MAX_CASES: usize = 1000;
/// The maximum number of cases in a self-test, since each delays the start.
const MAX_SELF_TEST: usize = 8;
/// The longest name of a case, in bytes.
const MAX_NAME: usize = 256;
/// The maximum number of requests of a case after its first.
const MAX_THEN: usize = 100;

/// A file of `plugin test`.
#[derive(Debug)]
#[non_exhaustive]
pub struct CasesFile {
    /// The plugin, and how it is configured.
    pub plugin: PluginConfig,
    /// The cases, in the order of the file. Each has another name.
    pub cases: Vec<Case>,
    /// The cases of a login. The file has at least one case of either kind.
    pub logins: Vec<LoginCase>,
    /// The servers that the file plays. Without any, here and in a case, requests go over the network.
    pub servers: Vec<PlayedServer>,
}

/// Requests, and what is expected of the plugin.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// A name without control characters.
    pub name: String,
    /// The request that the plugin is asked about.
    pub request: Arc<AuthRequest>,
    /// The user of the request, for an authorizer. `None` for a request without a user.
    pub user: Option<CaseUser>,
    /// What is expected.
    pub expect: Expectation,
    /// Further requests, about which the same plugin is asked, in order.
    pub then: Vec<Then>,
    /// The servers that are played in this case. Their responses come before those of the whole file.
    pub servers: Vec<PlayedServer>,
}

/// A further request of a case.
#[derive(Debug)]
#[non_exhaustive]
pub struct Then {
    /// The request that the plugin is asked about.
    pub request: Arc<AuthRequest>,
    /// The user of the request, for an authorizer. `None` for a request without a user.
    pub user: Option<CaseUser>,
    /// What is expected.
    pub expect: Expectation,
}

impl CasesFile {
    /// Reads the file for this plugin, whose component has this role. Its paths are relative to its folder.
    pub fn read(
        path: &Path,
        plugin: PluginSource,
        role: Role,
        environment: &Environment,
    ) -> Result<Self, ConfigErrors> {
        let text = read_text(path, MAX_FILE);
        let text = text.map_err(|error| {
            let location = Location::file(path.display().to_string());
            ConfigErrors::new(vec![location.error(error)])
        })?;
        let sources = Sources::default();
        let document = Document::new(path, &text, environment, &sources);
        let read = Table::parse(&document, &text).and_then(|table| Self::read_root(table, plugin, role));
        match (read, document.into_errors()) {
            (Some(file), errors) if errors.is_empty() => Ok(file),
            (_, errors) => Err(ConfigErrors::new(errors)),
        }
    }

    /// What takes the place of a file without cases: a plugin with these grants, and without settings.
    pub fn without_cases(plugin: PluginSource, role: Role, grants: Grants) -> Self {
        Self {
            plugin: PluginConfig::alone(plugin, role, grants),
            cases: Vec::new(),
            logins: Vec::new(),
            servers: Vec::new(),
        }
    }

    fn read_root(mut root: Table<'_>, plugin: PluginSource, role: Role) -> Option<Self> {
        let (cases, logins) = (root.take("cases"), root.take("logins"));
        if cases.is_none() && logins.is_none() {
            root.place.report(NO_CASE);
        }
        let mut names = HashMap::new();
        let cases = cases.map(|item| read_cases(item, role, &mut names));
        let logins = logins.map(|item| login::read(item, plugin.name(), &mut names));
        let servers = root.take("servers").map(servers::read);
        let config = PluginConfig::for_test(plugin, role, root);
        Some(Self {
            plugin: config?,
            cases: cases.unwrap_or_default(),
            logins: logins.unwrap_or_default(),
            servers: servers.unwrap_or_default(),
        })
    }
}

/// Reads a list of servers, as in a file. Its paths are relative to the folder of the process.
///
/// # Errors
///
/// Returns all mistakes, each with its key.
pub fn played_servers(list: &serde_json::Value) -> Result<Vec<PlayedServer>, Vec<ConfigError>> {
    let (environment, sources) = (Environment::default(), Sources::default());
    let document = Document::without_lines("servers", &environment, &sources);
    let servers = Item::of_json(&document, "servers", list).map(servers::read);
    match document.into_errors() {
        errors if errors.is_empty() => Ok(servers.unwrap_or_default()),
        errors => Err(errors),
    }
}

/// Reads a made-up user, with the keys of `user` in a case.
///
/// # Errors
///
/// Returns all mistakes, each with its key.
pub fn made_up_user(user: &serde_json::Value) -> Result<CaseUser, Vec<ConfigError>> {
    let (environment, sources) = (Environment::default(), Sources::default());
    let document = Document::without_lines("user", &environment, &sources);
    let case = serde_json::json!({ "user": user });
    let table = Item::of_whole_json(&document, &case).and_then(Item::table);
    let read = table.and_then(|mut table| user::read(&mut table, Role::Authorizer).ok().flatten());
    match (read, document.into_errors()) {
        (Some(user), errors) if errors.is_empty() => Ok(user),
        (_, errors) => Err(errors),
    }
}

/// Reads the self-test in a component's manifest: a list of cases as in a file. `None` if it has none.
///
/// # Errors
///
/// Returns all mistakes in it.
pub fn self_test(manifest: Option<&Manifest>, role: Role) -> Result<Option<Vec<Case>>, ConfigErrors> {
    let Some(cases) = manifest.and_then(|manifest| manifest.self_test.as_ref()) else {
        return Ok(None);
    };
    let (environment, sources) = (Environment::default(), Sources::default());
    let document = Document::without_lines("its manifest", &environment, &sources);
    let cases = Item::of_json(&document, "self_test", cases).map(|item| read_cases(item, role, &mut HashMap::new()));
    if let Some(more) = cases.as_ref().map(Vec::len).filter(|cases| *cases > MAX_SELF_TEST) {
        let error = format!("has {more} cases, and at most {MAX_SELF_TEST} are accepted");
        document.report(document.location().key("self_test").error(error));
    }
    for case in cases.iter().flatten().filter(|case| !case.servers.is_empty()) {
        let error = format!("the case {:?} has servers, and a self-test can't ask any", case.name);
        document.report(document.location().key("self_test").error(error));
    }
    match document.into_errors() {
        errors if errors.is_empty() => Ok(cases),
        errors => Err(ConfigErrors::new(errors)),
    }
}

const NO_CASE: &str = "there is no case: add [[cases]], or [[logins]] for a login";

/// Reads a list of cases. `names` are the names of those elsewhere, with their places.
fn read_cases(item: Item<'_>, role: Role, names: &mut HashMap<String, Location>) -> Vec<Case> {
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report(NO_CASE);
    }
    if items.len() > MAX_CASES {
        place.report(format!("{} cases, and at most {MAX_CASES} are accepted", items.len()));
    }
    let cases = items.into_iter().take(MAX_CASES);
    cases.filter_map(|item| read_case(item.table()?, role, names)).collect()
}

/// Reads the name of a case.
fn name(table: &mut Table<'_>, names: &mut HashMap<String, Location>) -> Option<String> {
    let item = table.require("name")?;
    let place = item.place.clone();
    let is_name = |text: &str| !text.is_empty() && text.len() <= MAX_NAME && !text.contains(char::is_control);
    let name = item.parse("a name: 1 to 256 bytes without control characters", |text| {
        is_name(text).then(|| text.to_owned())
    })?;
    if let Some(first) = names.insert(name.clone(), place.location().clone()) {
        place.report(format!("{name:?} is also the name of the case at {first}"));
    }
    Some(name)
}

/// Reads a case. `names` are the names of those before it, with their places.
fn read_case(mut table: Table<'_>, role: Role, names: &mut HashMap<String, Location>) -> Option<Case> {
    let name = name(&mut table, names);
    let first = read_request(&mut table, role);
    let then = table.take("then").map(|item| {
        let place = item.place.clone();
        let items = item.list();
        if items.len() > MAX_THEN {
            place.report(format!("{} requests, and at most {MAX_THEN} are accepted", items.len()));
        }
        let read = |item: Item<'_>| {
            let mut table = item.table()?;
            let then = read_request(&mut table, role);
            table.finish();
            then
        };
        items.into_iter().take(MAX_THEN).filter_map(read).collect()
    });
    let servers = table.take("servers").map(servers::read);
    table.finish();
    let Then { request, user, expect } = first?;
    Some(Case {
        name: name?,
        request,
        user,
        expect,
        then: then.unwrap_or_default(),
        servers: servers.unwrap_or_default(),
    })
}

fn read_request(table: &mut Table<'_>, role: Role) -> Option<Then> {
    let request = request::read(table.take("request"));
    let user = user::read(table, role);
    let expect = table.require("expect").and_then(expectation::read);
    Some(Then {
        request: Arc::new(request?),
        user: user.ok()?,
        expect: expect?,
    })
}

#[cfg(test)]
mod tests;
