//! A plugin directory: `NAME.wasm` files, each with an optional `NAME.toml`. Every component in it becomes an authenticator or an
//! authorizer, as its exports say, with the name of its file.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Component;
use portcullis::Role;
use portcullis_registry::MAX_COMPONENT;

use crate::config::digests::Digests;
use crate::config::document::Document;
use crate::config::document::Environment;
use crate::config::document::MAX_FILE;
use crate::config::error::ConfigError;
use crate::config::error::Location;
use crate::config::plugin::NAME_RULE;
use crate::config::plugin::PluginConfig;
use crate::config::plugin::is_name;
use crate::config::plugin::section;
use crate::config::reader::Table;
use crate::config::sources::Sources;
use crate::files::read_bytes;
use crate::files::read_guarded;
use crate::files::require_guarded_folder;
use crate::signature::TrustedKeys;

/// A plugin directory, which contains `NAME.wasm` files, each with an optional `NAME.toml`.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    location: Location,
}

impl Directory {
    /// The directory at this path. `location` is where the path is written, for errors about the directory itself.
    pub fn new(path: PathBuf, location: Location) -> Self {
        Self { path, location }
    }

    /// Finds all plugins, sorted by name. `trust` is that of `[plugins]`.
    pub fn search(
        &self,
        environment: &Environment,
        sources: &Sources,
        trust: Option<&Arc<TrustedKeys>>,
    ) -> DirectoryPlugins {
        let mut found = DirectoryPlugins::default();
        sources.note(&self.path);
        sources.guard(&self.path);
        let files = require_guarded_folder(&self.path).and_then(|()| self.files().map_err(|error| error.to_string()));
        let mut files = match files {
            Ok(files) => files,
            Err(error) => {
                let error = self.location.error(format!("{}: {error}", self.path.display()));
                found.errors.push(Mistake { plugin: None, error });
                return found;
            }
        };
        files.sort();
        for file in &files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("wasm") => found.add(file, environment, sources, trust),
                Some("toml") if !files.contains(&file.with_extension("wasm")) => {
                    let wasm = file.with_extension("wasm");
                    let message = format!("describes a plugin that doesn't exist: {}", wasm.display());
                    found.errors.push(Mistake {
                        plugin: plugin_name(file).map(str::to_owned),
                        error: Location::file(file.display().to_string()).error(message),
                    });
                }
                Some("toml") | None => {}
                Some(other) if matches!(other.to_ascii_lowercase().as_str(), "wasm" | "toml") => {
                    let ending = other.to_ascii_lowercase();
                    let message = format!("would be ignored: the name of a plugin's file ends in .{ending}");
                    found.errors.push(Mistake {
                        plugin: None,
                        error: Location::file(file.display().to_string()).error(message),
                    });
                }
                _ => {}
            }
        }
        found
    }

    fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        let entries = self.path.read_dir()?.map(|entry| Ok(entry?.path()));
        let hidden = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        };
        entries.filter(|path| !path.as_ref().is_ok_and(hidden)).collect()
    }
}

/// The contents of the plugin directory.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DirectoryPlugins {
    /// The plugins without mistakes in their configuration.
    pub configured: Vec<PluginConfig>,
    /// Every plugin, including those with mistakes.
    pub names: Vec<FoundPlugin>,
    /// The mistakes.
    pub errors: Vec<Mistake>,
    /// The values of all `NAME.toml`, below `authenticators` or `authorizers` and the name.
    pub digests: Digests,
}

/// A file of a plugin directory that is a plugin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundPlugin {
    /// Its name.
    pub name: String,
    /// Its file.
    pub wasm: PathBuf,
    /// What the exports of its component say that it is. `None` if that can't be read; it is taken for an authenticator then, and
    /// can't be loaded.
    pub role: Option<Role>,
}

/// A mistake in a plugin directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mistake {
    /// The plugin whose `NAME.toml` has it. `None` if it concerns the whole directory.
    pub plugin: Option<String>,
    /// What is wrong.
    pub error: ConfigError,
}

impl DirectoryPlugins {
    fn add(&mut self, wasm: &Path, environment: &Environment, sources: &Sources, trust: Option<&Arc<TrustedKeys>>) {
        let location = Location::file(wasm.display().to_string());
        let Some(name) = plugin_name(wasm) else {
            self.errors.push(Mistake {
                plugin: None,
                error: location.error(format!("the plugin's name must be {}", NAME_RULE)),
            });
            return;
        };
        let mistake = |error: ConfigError| Mistake {
            plugin: Some(name.to_owned()),
            error,
        };
        let description = wasm.with_extension("toml");
        sources.note_component(wasm);
        let found = role(wasm);
        self.names.push(FoundPlugin {
            name: name.to_owned(),
            wasm: wasm.to_owned(),
            role: found,
        });
        let role = found.unwrap_or(Role::Authenticator);
        sources.note(&description);
        sources.guard(&description);
        if !description.exists() {
            self.configured
                .push(PluginConfig::bare(name, role, wasm, location, trust));
            return;
        }
        let text = match read_description(&description) {
            Ok(text) => text,
            Err(error) => {
                let location = Location::file(description.display().to_string());
                self.errors.push(mistake(location.error(error)));
                return;
            }
        };
        let document = Document::new(&description, &text, environment, sources);
        if let Some(table) = Table::parse(&document, &text) {
            let values = table.values(&[section(role), name]);
            self.configured
                .extend(PluginConfig::from_directory(name, role, wasm, table, trust));
            self.digests.add(values, &document);
        }
        self.errors.extend(document.into_errors().into_iter().map(mistake));
    }
}

/// The role of the component in a file. What is wrong with a file is found when it is loaded, with all that makes it trusted.
fn role(wasm: &Path) -> Option<Role> {
    let bytes = read_bytes(wasm, MAX_COMPONENT).ok()?;
    Component::role_of(&bytes).ok()
}

/// The name of the plugin that a file belongs to. `None` if no plugin may have it.
fn plugin_name(file: &Path) -> Option<&str> {
    let name = file.file_stem()?.to_str()?;
    is_name(name).then_some(name)
}

/// Reads a `NAME.toml`. The error is the rest of a sentence that begins with its name.
fn read_description(path: &Path) -> Result<String, String> {
    let bytes = read_guarded(path, MAX_FILE).map_err(|why| why.to_string())?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}
