//! The file of `plugin test`: a plugin's settings, grants and limits with the keys of `NAME.toml`, and requests with what is
//! expected of the plugin. All mistakes in it are found before the plugin is asked anything.

mod expectation;
mod request;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use portcullis::AuthRequest;
use portcullis::Grants;
use portcullis_loader::config::document::Document;
use portcullis_loader::config::document::MAX_FILE;
use portcullis_loader::config::error::Location;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::sources::Sources;
use portcullis_loader::files::read_text;

use crate::config::AuthenticatorConfig;
use crate::config::ConfigErrors;
use crate::config::Environment;
use crate::config::PluginSource;

pub(crate) use expectation::Expectation;

/// The maximum number of cases.
const MAX_CASES: usize = 1000;
/// The longest name of a case, in bytes.
const MAX_NAME: usize = 256;

/// A file of `plugin test`.
#[derive(Debug)]
pub(crate) struct CasesFile {
    /// The plugin, and how it is configured.
    pub(crate) authenticator: AuthenticatorConfig,
    /// The cases, in the order of the file, which has at least one. Each has another name.
    pub(crate) cases: Vec<Case>,
}

/// One request, and what is expected of the plugin.
#[derive(Debug)]
pub(crate) struct Case {
    /// A name without control characters.
    pub(crate) name: String,
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
        }
    }

    fn read_root(mut root: Table<'_>, plugin: PluginSource) -> Option<Self> {
        let cases = root.take("cases");
        if cases.is_none() {
            root.place.report(NO_CASE);
        }
        let cases = cases.map(read_cases);
        let authenticator = AuthenticatorConfig::for_test(plugin, root);
        Some(Self {
            authenticator: authenticator?,
            cases: cases?,
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
    let request = request::read(table.take("request"));
    let expect = table.require("expect").and_then(expectation::read);
    table.finish();
    Some(Case {
        name: name?,
        request: Arc::new(request?),
        expect: expect?,
    })
}

#[cfg(test)]
mod tests;
