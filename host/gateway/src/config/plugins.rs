//! `[plugins]`: the plugin directory, the cache of compiled plugins, and their memory. What is in the directory is found by
//! `portcullis_loader`.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis::Engine;
use portcullis::EngineBuilder;
use portcullis::OutboundProxy;
use portcullis_loader::config::Pulling;
use portcullis_loader::config::directory::Directory;
use portcullis_loader::config::document::Document;
use portcullis_loader::config::document::Environment;
use portcullis_loader::config::document::MAX_FILE;
use portcullis_loader::config::proxy;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::secret::text_or_reference;
use portcullis_loader::config::sources::Sources;
use portcullis_loader::config::store_below;
use portcullis_loader::config::trust;
use portcullis_loader::config::values;
use portcullis_loader::files::read_text;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::Options;

use crate::config::Located;
use crate::config::PluginSource;

/// The cache of compiled plugins, and the memory that plugins may use.
#[derive(Debug, Default)]
pub(crate) struct PluginsConfig {
    /// The configured cache directory. `None` if the default one is used.
    pub(crate) cache_directory: Option<PathBuf>,
    /// The default cache directory. `None` if the environment names none.
    pub(crate) default_cache_directory: Option<PathBuf>,
    /// How many bytes of memory all plugin instances together may use. `None` for half of the available memory.
    pub(crate) memory: Option<usize>,
    /// How many calls of all plugins together may run at the same time. `None` for the default.
    pub(crate) concurrency: Option<u32>,
    /// The forward proxies for requests of plugins. `None` if there are none.
    pub(crate) proxy: Option<OutboundProxy>,
    /// Where components from registries are kept. `None` if the environment names no default.
    pub(crate) store_directory: Option<PathBuf>,
    /// How long a component may take to be pulled. `None` for the default.
    pub(crate) pull_timeout: Option<Duration>,
    /// The keys of which one must have signed a component that isn't built in. `None` if it needs no signature. An
    /// authenticator may have its own.
    pub(crate) trust: Option<Arc<TrustedKeys>>,
}

impl PluginsConfig {
    /// Reads the section. Returns the plugin directory separately, because it is searched later.
    pub(super) fn read(table: Option<Table<'_>>, environment: &Environment) -> (Self, Option<Directory>) {
        let mut plugins = Self {
            cache_directory: None,
            default_cache_directory: default_cache_directory(environment),
            memory: None,
            concurrency: None,
            proxy: proxy::of_environment(environment),
            store_directory: None,
            pull_timeout: None,
            trust: None,
        };
        plugins.store_directory = plugins.default_cache_directory.as_deref().map(store_below);
        let Some(mut table) = table else { return (plugins, None) };
        let directory = table.take("directory").and_then(|item| {
            let place = item.place.clone();
            let path = place.document().path(&item.text()?);
            Some(Directory::new(path, place.location().clone()))
        });
        if let Some(item) = table.take("cache_directory") {
            let document = item.place.document();
            plugins.cache_directory = item.text().map(|path| document.path(&path));
            plugins.store_directory = plugins.cache_directory.as_deref().map(store_below);
        }
        if let Some(item) = table.take("store_directory") {
            let document = item.place.document();
            plugins.store_directory = item.text().map(|path| document.path(&path));
        }
        table.default("pull_timeout", values::shown_duration(Options::DEFAULT_TIMEOUT));
        plugins.pull_timeout = table
            .take("pull_timeout")
            .and_then(|item| values::duration(item, MIN_PULL..=MAX_PULL));
        plugins.memory = table
            .take("memory")
            .and_then(|item| values::size(item, MIN_MEMORY..=MAX_MEMORY));
        table.default("concurrency", Engine::DEFAULT_CONCURRENCY);
        plugins.concurrency = table
            .take("concurrency")
            .and_then(|item| item.number(1, EngineBuilder::MAX_CONCURRENCY as usize))
            .and_then(|calls| u32::try_from(calls).ok());
        if let Some(proxy) = proxy(&mut table) {
            plugins.proxy = proxy;
        }
        plugins.trust = table.take("trust").map(trust::read);
        table.finish();
        (plugins, directory)
    }
}

impl PluginsConfig {
    /// How components are pulled from registries.
    pub(crate) fn pulling(&self) -> Pulling {
        Pulling {
            store_directory: self.store_directory.clone(),
            timeout: self.pull_timeout,
            proxy: self.proxy.clone(),
        }
    }
}

/// Reads `http_proxy` and `no_proxy`. Returns `None` if neither is set, so that the environment decides, and `Some(None)`
/// for no proxy.
fn proxy(table: &mut Table<'_>) -> Option<Option<OutboundProxy>> {
    let (proxy, no_proxy) = (table.take("http_proxy"), table.take("no_proxy"));
    let Some(proxy) = proxy else {
        if let Some(no_proxy) = no_proxy {
            no_proxy.place.report("has no effect without http_proxy");
        }
        return None;
    };
    let place = proxy.place.clone();
    let no_proxy = values::each(no_proxy, Item::text).join(",");
    let url = text_or_reference(place.document(), proxy.text()?).map_err(|message| place.report(message));
    let url = url.ok()?;
    if url == "none" {
        return Some(None);
    }
    let proxy = OutboundProxy::new(&url, &url, &no_proxy);
    proxy.map(Some).map_err(|error| place.report(error.to_string())).ok()
}

const MIN_PULL: Duration = Duration::from_secs(1);
/// A reload that takes longer is given up.
const MAX_PULL: Duration = Duration::from_secs(180);
const MIN_MEMORY: usize = 16 << 20;
const MAX_MEMORY: usize = 1 << 40;

/// The plugin that an argument of the command line names: one in a registry, a built-in one, or else a file. The error is a
/// sentence.
pub(crate) fn plugin_argument(argument: &Path) -> Result<PluginSource, String> {
    PluginSource::of_argument(argument, |name| portcullis_plugins::NAMES.contains(&name))
}

/// The values of the `NAME.toml` beside a component of the plugin directory. `None` if there is none.
pub(crate) fn described(wasm: &Path, environment: &Environment) -> Option<Located> {
    let path = wasm.with_extension("toml");
    let text = read_text(&path, MAX_FILE).ok()?;
    let sources = Sources::default();
    let document = Document::new(&path, &text, environment, &sources);
    Table::parse(&document, &text).map(|table| table.located())
}

/// Returns the cache directory of the XDG Base Directory Specification, which says that relative paths are ignored.
fn default_cache_directory(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name| {
        environment
            .variable(name)
            .map(Path::new)
            .filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME").map(Path::to_owned);
    let cache = cache.or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("portcullis"))
}
