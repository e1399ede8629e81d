//! A plugin directory in use: loaded at once, loaded again when its files change, and swapped as a whole.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Engine;
use portcullis::Negotiator;
use portcullis::Role;
use portcullis_watch::Stamp;
use portcullis_watch::Watcher;

use crate::build::Negotiators;
use crate::component;
use crate::config::directory::Directory;
use crate::config::directory::DirectoryPlugins;
use crate::config::directory::Mistake;
use crate::config::document::Environment;
use crate::config::error::ConfigErrors;
use crate::config::error::Location;
use crate::config::error::unknown;
use crate::config::plugin::MAX_PLUGINS;
use crate::config::plugin::PluginConfig;
use crate::config::rotation::SecretWatch;
use crate::config::sources::Sources;
use crate::current::CurrentPlugins;
use crate::difference::Change;
use crate::difference::changes;
use crate::set;
use crate::set::PluginSet;
use crate::signature::TrustedKeys;
use crate::warning::PluginWarning;

/// A folder of `NAME.wasm` files, each with an optional `NAME.toml`, which has the keys that the gateway reads there.
#[derive(Clone, Debug)]
pub struct PluginDirectory {
    path: PathBuf,
    engine: Engine,
    environment: Environment,
    trust: Option<Arc<TrustedKeys>>,
    negotiators: Negotiators,
    needed: Option<BTreeSet<String>>,
}

impl PluginDirectory {
    /// The directory at this path, whose plugins run in this engine. References such as `env:API_KEY` are to the environment
    /// of the process.
    pub fn new(path: impl Into<PathBuf>, engine: &Engine) -> Self {
        Self {
            path: path.into(),
            engine: engine.clone(),
            environment: Environment::of_process(),
            trust: None,
            negotiators: Negotiators::new(),
            needed: None,
        }
    }

    /// Lets `env:NAME` refer to these variables instead of those of the process.
    #[must_use]
    pub fn environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// Requires that every component has a signature by one of these keys, in `NAME.wasm.minisig` beside it.
    #[must_use]
    pub fn trust(self, keys: TrustedKeys) -> Self {
        Self {
            trust: Some(Arc::new(keys)),
            ..self
        }
    }

    /// Checks the Kerberos tokens of the plugins whose `grants.negotiate` has this name.
    #[must_use]
    pub fn negotiator(mut self, name: impl Into<String>, negotiator: Arc<dyn Negotiator>) -> Self {
        self.negotiators.insert(name.into(), negotiator);
        self
    }

    /// Says which plugins are asked: these must be there and work. Any other is loaded if it can be, and otherwise left out with a
    /// warning, so that a mistake in a `NAME.toml` that nobody asks stops no reload. Without it, all must work.
    #[must_use]
    pub fn needed(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let needed = Some(names.into_iter().map(Into::into).collect());
        Self { needed, ..self }
    }

    /// Whether what is wrong with the plugin of this name stops everything.
    fn needs(&self, name: &str) -> bool {
        self.needed.as_ref().is_none_or(|needed| needed.contains(name))
    }

    /// Checks Kerberos tokens by these, as [`PluginDirectory::negotiator`] does by one.
    #[must_use]
    pub fn negotiators(mut self, negotiators: Negotiators) -> Self {
        self.negotiators.extend(negotiators);
        self
    }

    /// Compiles and configures every plugin. Call it in a Tokio runtime with time enabled.
    ///
    /// A plugin whose component isn't of the required origin, or fails its own self-test, is disabled, and [`Plugins::warnings`]
    /// and the log say so. A [`portcullis::Chain`] fails where it would ask a disabled authenticator.
    ///
    /// # Errors
    ///
    /// Returns all mistakes together, each with its file, line and key.
    pub async fn open(self) -> Result<Plugins, ConfigErrors> {
        let mut watcher = Watcher::new();
        let (loaded, watched) = self.load(None).await;
        let (set, warnings) = loaded?;
        warnings.iter().for_each(PluginWarning::log);
        watcher.watch(watched);
        let mut secrets = SecretWatch::default();
        secrets.follow(set.rotating_headers());
        Ok(Plugins {
            directory: self,
            current: CurrentPlugins::new(set),
            warnings,
            watcher,
            secrets,
            is_outdated: false,
        })
    }

    /// The mistakes of a directory without plugins that are asked.
    fn without(&self, missing: &[(String, Role)]) -> ConfigErrors {
        let location = Location::file(self.path.display().to_string());
        let error = |(name, role): &(String, Role)| {
            location.error(format!(
                "has no {role} {name:?} any more, which is asked about requests"
            ))
        };
        ConfigErrors::new(missing.iter().map(error).collect())
    }

    /// The mistakes of plugins whose `grants.negotiate` names nothing that checks Kerberos tokens.
    fn unknown_negotiators(&self, configured: &[PluginConfig]) -> Vec<Mistake> {
        let mistake = |config: &PluginConfig| {
            let name = config.grants.negotiate.as_ref()?;
            let place = config.location.key("grants").key("negotiate");
            let known = || self.negotiators.keys().map(String::as_str);
            (!self.negotiators.contains_key(name)).then(|| Mistake {
                plugin: Some(config.name.clone()),
                error: place.error(unknown("acceptor", name, known())),
            })
        };
        configured.iter().filter_map(mistake).collect()
    }

    /// Loads the next set. The files are returned too if they have mistakes, because a change of one may mend them.
    async fn load(&self, previous: Option<&PluginSet>) -> (Loaded, Watched) {
        let Self {
            path,
            environment,
            trust,
            ..
        } = self.clone();
        let read = tokio::task::spawn_blocking(move || read(&path, &environment, trust.as_ref()));
        let (mut found, watched) = match read.await {
            Ok(found) => found,
            Err(error) => {
                let error = Location::file(self.path.display().to_string()).error(error.to_string());
                let watched = vec![(self.path.clone(), Stamp::of(&self.path))];
                return (Err(ConfigErrors::new(vec![error])), watched);
            }
        };
        let configured = found.configured;
        found.errors.extend(self.unknown_negotiators(&configured));
        let files = component::read_files(&configured).await;
        let known = previous.map(PluginSet::components).unwrap_or_default();
        let components = component::compile(&configured, files, &self.engine, &known).await;
        let inputs = set::Inputs {
            configured: &configured,
            digests: &found.digests,
            negotiators: &self.negotiators,
            is_asked: &|name| self.needs(name),
            previous,
        };
        let mut loaded = PluginSet::load(inputs, components).await;
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for Mistake { plugin, error } in found.errors {
            match plugin.filter(|name| !self.needs(name)) {
                Some(plugin) => {
                    let known = found.names.iter().find(|known| known.name == plugin);
                    let role = known.and_then(|known| known.role).unwrap_or(Role::Authenticator);
                    warnings.push(PluginWarning::Broken { plugin, role, error });
                }
                None => errors.push(error),
            }
        }
        if errors.is_empty() {
            let is_there = |name: &String| found.names.iter().any(|known| known.name == *name);
            let missing = self.needed.iter().flatten().filter(|name| !is_there(name));
            let location = Location::file(self.path.display().to_string());
            errors.extend(missing.map(|name| location.error(format!("has no {name}.wasm, and this plugin is needed"))));
        }
        errors.append(&mut loaded.errors);
        warnings.append(&mut loaded.warnings);
        if errors.is_empty() {
            return (Ok((loaded.set, warnings)), watched);
        }
        let disabling = warnings.iter().filter_map(PluginWarning::disabling);
        errors.extend(disabling.cloned());
        (Err(ConfigErrors::new(errors)), watched)
    }
}

type Loaded = Result<(PluginSet, Vec<PluginWarning>), ConfigErrors>;

/// Files and folders, each with its state before it was read.
type Watched = Vec<(PathBuf, Stamp)>;

fn read(path: &Path, environment: &Environment, trust: Option<&Arc<TrustedKeys>>) -> (DirectoryPlugins, Watched) {
    let sources = Sources::default();
    let location = Location::file(path.display().to_string());
    let mut found = Directory::new(path.to_owned(), location.clone()).search(environment, &sources, trust);
    if found.names.len() > MAX_PLUGINS {
        let error = format!("has more than {MAX_PLUGINS} plugins");
        let error = location.error(error);
        found.errors.push(Mistake { plugin: None, error });
        found.configured.clear();
    }
    (found, sources.into_watched())
}

/// The plugins of a directory, which follow its files as long as [`Plugins::changed`] is called.
#[derive(Debug)]
pub struct Plugins {
    directory: PluginDirectory,
    current: CurrentPlugins,
    warnings: Vec<PluginWarning>,
    watcher: Watcher,
    secrets: SecretWatch,
    /// Whether files have changed since the last set was loaded.
    is_outdated: bool,
}

impl Plugins {
    /// The plugins of the moment, for whoever serves requests.
    pub fn current(&self) -> CurrentPlugins {
        self.current.clone()
    }

    /// What is allowed but may not be meant, and which plugins are disabled.
    pub fn warnings(&self) -> &[PluginWarning] {
        &self.warnings
    }

    /// Waits until files of the directory, or files that a `NAME.toml` names, have changed, and loads them as
    /// [`Plugins::reload`] does. Secrets in `http_headers` are followed without it.
    ///
    /// This is cancel safe: a change that was seen is loaded by the next call.
    ///
    /// # Errors
    ///
    /// Those of [`Plugins::reload`]. Call it again: a change of any of the files may mend them.
    pub async fn changed(&mut self) -> Result<Vec<Change>, ConfigErrors> {
        if !self.is_outdated {
            self.watcher.changed().await;
            self.is_outdated = true;
        }
        self.reload().await
    }

    /// Loads the directory again, now. The next plugins are compiled and configured aside and then swapped in at once.
    /// One that has neither changed nor names a file that has stays the same plugin, with its connections, breaker and
    /// decisions. Requests that ask an old one get their answer. Returns what differs, such as
    /// `~plugin keys: settings.key`.
    ///
    /// # Errors
    ///
    /// Returns all mistakes together. Then everything stays as it was.
    pub async fn reload(&mut self) -> Result<Vec<Change>, ConfigErrors> {
        let before = self.current.load();
        let (loaded, watched) = self.directory.load(Some(&before)).await;
        self.is_outdated = false;
        self.watcher.watch(watched);
        let (next, warnings) = loaded?;
        let next = Arc::new(next);
        self.current
            .replace(&next)
            .map_err(|missing| self.directory.without(&missing))?;
        // From here on nothing waits, so that this isn't given up in the middle.
        let known = Vec::from_iter(self.warnings.iter().map(ToString::to_string));
        let new = warnings.iter().filter(|warning| !known.contains(&warning.to_string()));
        new.for_each(PluginWarning::log);
        self.warnings = warnings;
        self.secrets.follow(next.rotating_headers());
        before.retire(&next);
        Ok(changes(&before.parts(), &next.parts()))
    }
}
