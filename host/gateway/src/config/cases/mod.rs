//! The file of `plugin test`: a plugin's settings, grants and limits with the keys of `NAME.toml`, and requests with what is
//! expected of the plugin. All mistakes in it are found before the plugin is asked anything.

mod expectation;
mod request;
mod servers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use portcullis::AuthRequest;
use portcullis::Grants;

use crate::config::AuthenticatorConfig;
use crate::config::ConfigErrors;
use crate::config::Environment;
use crate::config::PluginSource;
use crate::config::document::Document;
use crate::config::document::MAX_FILE;
use crate::config::error::Location;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::sources::Sources;
use crate::files::read_text;

pub(crate) use expectation::Expectation;
pub(crate) use expectation::ExpectedCall;
pub(crate) use servers::Origin;
pub(crate) use servers::PlayedResponse;
pub(crate) use servers::PlayedServer;

/// The maximum number of cases.
const MAX_CASES: usize = 1000;
/// The longest name of a case, in bytes.
const MAX_NAME: usize = 256;
/// The maximum number of requests of a case after its first.
const MAX_THEN: usize = 100;

/// A file of `plugin test`.
#[derive(Debug)]
pub(crate) struct CasesFile {
    /// The plugin, and how it is configured.
    pub(crate) authenticator: AuthenticatorConfig,
    /// The cases, in the order of the file, which has at least one. Each has another name.
    pub(crate) cases: Vec<Case>,
    /// The servers that the file plays. Without any, here and in a case, requests go over the network.
    pub(crate) servers: Vec<PlayedServer>,
}

/// Requests, and what is expected of the plugin.
#[derive(Debug)]
pub(crate) struct Case {
    /// A name without control characters.
    pub(crate) name: String,
    /// The request that the plugin is asked about.
    pub(crate) request: Arc<AuthRequest>,
    /// What is expected.
    pub(crate) expect: Expectation,
    /// Further requests, about which the same authenticator is asked, in order.
    pub(crate) then: Vec<Then>,
    /// The servers that are played in this case. Their responses come before those of the whole file.
    pub(crate) servers: Vec<PlayedServer>,
}

/// A further request of a case.
#[derive(Debug)]
pub(crate) struct Then {
    /// The request that the plugin is asked about.
    pub(crate) request: Arc<AuthRequest>,
    /// What is expected.
    pub(crate) expect: Expectation,
}

impl CasesFile {
    /// Reads the file for this plugin. Its paths are relative to its folder.
    pub(crate) fn read(path: &Path, plugin: PluginSource, environment: &Environment) -> Result<Self, ConfigErrors> {
        let text = read_text(path, MAX_FILE);
        let text = text.map_err(|error| {
            let location = Location::file(path.display().to_string());
            ConfigErrors::new(vec![location.error(error)])
        })?;
        let sources = Sources::default();
        let document = Document::new(path, &text, environment, &sources);
        let read = Table::parse(&document, &text).and_then(|table| Self::read_root(table, plugin));
        match (read, document.into_errors()) {
            (Some(file), errors) if errors.is_empty() => Ok(file),
            (_, errors) => Err(ConfigErrors::new(errors)),
        }
    }

    /// What takes the place of a file without cases: a plugin with these grants, and without settings.
    pub(crate) fn without_cases(plugin: PluginSource, grants: Grants) -> Self {
        Self {
            authenticator: AuthenticatorConfig::alone(plugin, grants),
            cases: Vec::new(),
            servers: Vec::new(),
        }
    }

    fn read_root(mut root: Table<'_>, plugin: PluginSource) -> Option<Self> {
        let cases = root.take("cases");
        if cases.is_none() {
            root.place.report(NO_CASE);
        }
        let cases = cases.map(read_cases);
        let servers = root.take("servers").map(servers::read);
        let authenticator = AuthenticatorConfig::for_test(plugin, root);
        Some(Self {
            authenticator: authenticator?,
            cases: cases?,
            servers: servers.unwrap_or_default(),
        })
    }
}

const NO_CASE: &str = "there is no case: add [[cases]]";

fn read_cases(item: Item<'_>) -> Vec<Case> {
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report(NO_CASE);
    }
    if items.len() > MAX_CASES {
        place.report(format!("{} cases, and at most {MAX_CASES} are accepted", items.len()));
    }
    let mut names = HashMap::new();
    let cases = items.into_iter().take(MAX_CASES);
    cases.filter_map(|item| read_case(item.table()?, &mut names)).collect()
}

/// Reads a case. `names` are the names of those before it, with their places.
fn read_case(mut table: Table<'_>, names: &mut HashMap<String, Location>) -> Option<Case> {
    let name = table.require("name").and_then(|item| {
        let place = item.place.clone();
        let is_name = |text: &str| !text.is_empty() && text.len() <= MAX_NAME && !text.contains(char::is_control);
        let name = item.parse("a name: 1 to 256 bytes without control characters", |text| {
            is_name(text).then(|| text.to_owned())
        })?;
        if let Some(first) = names.insert(name.clone(), place.location().clone()) {
            place.report(format!("{name:?} is also the name of the case at {first}"));
        }
        Some(name)
    });
    let first = read_request(&mut table);
    let then = table.take("then").map(|item| {
        let place = item.place.clone();
        let items = item.list();
        if items.len() > MAX_THEN {
            place.report(format!("{} requests, and at most {MAX_THEN} are accepted", items.len()));
        }
        let read = |item: Item<'_>| {
            let mut table = item.table()?;
            let then = read_request(&mut table);
            table.finish();
            then
        };
        items.into_iter().take(MAX_THEN).filter_map(read).collect()
    });
    let servers = table.take("servers").map(servers::read);
    table.finish();
    let Then { request, expect } = first?;
    Some(Case {
        name: name?,
        request,
        expect,
        then: then.unwrap_or_default(),
        servers: servers.unwrap_or_default(),
    })
}

fn read_request(table: &mut Table<'_>) -> Option<Then> {
    let request = request::read(table.take("request"));
    let expect = table.require("expect").and_then(expectation::read);
    Some(Then {
        request: Arc::new(request?),
        expect: expect?,
    })
}

#[cfg(test)]
mod tests;
