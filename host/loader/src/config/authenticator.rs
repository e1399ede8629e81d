//! `[authenticators.NAME]`: a plugin with its settings, grants and limits. Plugins in the plugin directory have the same
//! keys in a file of their own.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Digest;
use portcullis::Grants;
use portcullis::KeepInstances;
use portcullis::Limits;
use portcullis::Outbound;
use portcullis_registry::Reference;
use portcullis_registry::SCHEME;
use portcullis_registry::Version;

use crate::config::error::ConfigError;
use crate::config::error::Location;
use crate::config::grants;
use crate::config::grants::SigningKeys;
use crate::config::instances;
use crate::config::limits;
use crate::config::outbound;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::rotation::RotatingHeader;
use crate::config::settings::Settings;
use crate::config::trust;
use crate::signature::TrustedKeys;

/// The maximum number of authenticators.
pub const MAX_AUTHENTICATORS: usize = 4096;

/// The rule for names, for error messages.
pub const NAME_RULE: &str = "1 to 64 letters, digits, - and _, beginning with a letter or digit";

/// Whether a text follows [`NAME_RULE`]. Such a name needs no escaping in logs, metrics and file names.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    text.len() <= 64 && text.bytes().all(allowed) && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

const LEVELS: [(&str, tracing::Level); 5] = [
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

/// An authenticator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthenticatorConfig {
    /// The name, for routes and logs.
    pub name: String,
    /// Where the component comes from.
    pub plugin: PluginSource,
    /// Whether it was found in the plugin directory, and isn't named by the configuration.
    pub is_dropped_in: bool,
    /// The location of `plugin` in the configuration.
    pub location: Location,
    /// The required SHA-256 of the component. `None` if any component is accepted.
    pub sha256: Option<Digest>,
    /// The keys of which one must have signed the component. `None` if it needs no signature.
    pub trust: Option<Arc<TrustedKeys>>,
    /// The settings of the plugin.
    pub settings: Settings,
    /// What the plugin may see and reach.
    pub grants: Grants,
    /// The keys that the plugin may sign with.
    pub signing_keys: SigningKeys,
    /// How the plugin's requests to other servers are sent.
    pub outbound: Outbound,
    /// Headers of these requests whose secrets are in files.
    pub rotating: Vec<RotatingHeader>,
    /// What the calls of the plugin may cost.
    pub limits: Limits,
    /// Which instances are kept for later requests. `None` if each request has one of its own.
    pub instances: Option<KeepInstances>,
    /// The least severe level of its log lines. `None` if that of the gateway decides.
    pub log: Option<tracing::Level>,
    /// The login that it offers to browsers. `None` if it offers none.
    pub login: Option<OfferedLogin>,
}

/// A login that an authenticator offers to browsers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OfferedLogin {
    /// What people read where they choose among several.
    pub title: String,
}

/// Where a component comes from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "whoever loads plugins has to handle every kind")]
pub enum PluginSource {
    /// The built-in plugin with this name.
    BuiltIn(String),
    /// A component file.
    File(PathBuf),
    /// A component in a registry.
    Registry(Reference),
}

impl AuthenticatorConfig {
    /// Reads an entry of `[authenticators]`. `trust` is that of `[plugins]`. Returns `None` if it has any mistake.
    pub fn read(name: String, item: Item<'_>, trust: Option<&Arc<TrustedKeys>>) -> Option<Self> {
        let document = item.place.document();
        let before = document.error_count();
        if !is_name(&name) {
            item.place
                .report(format!("an authenticator's name must be {NAME_RULE}"));
        }
        let mut table = item.table()?;
        let plugin = table.require("plugin");
        let location = plugin
            .as_ref()
            .map_or(&table.place, |item| &item.place)
            .location()
            .clone();
        let plugin = plugin.and_then(PluginSource::parse);
        let own = table.take("trust");
        if let (Some(item), Some(PluginSource::BuiltIn(_))) = (&own, &plugin) {
            item.place
                .report("has no effect: a built-in plugin is a part of the gateway, and has no signature of its own");
        }
        let trust = own.map(trust::read).or_else(|| trust.cloned());
        let read = Self::read_rest(name, plugin, location, table);
        let read = read.map(|read| Self { trust, ..read });
        read.filter(|_| document.error_count() == before)
    }

    /// Reads `NAME.toml` of a plugin in the plugin directory. `trust` is that of `[plugins]`. Returns `None` if it has any
    /// mistake.
    pub fn from_directory(
        name: &str,
        wasm: &Path,
        mut table: Table<'_>,
        trust: Option<&Arc<TrustedKeys>>,
    ) -> Option<Self> {
        let document = table.place.document();
        let before = document.error_count();
        if let Some(item) = table.take("plugin") {
            item.place
                .report(format!("isn't allowed here: the plugin is {}", wasm.display()));
        }
        if let Some(item) = table.take("trust") {
            item.place.report(
                "isn't allowed here, because the author of a plugin could name a key of his own: set it in [plugins]",
            );
        }
        let location = table.place.location().clone();
        let plugin = Some(PluginSource::File(wasm.to_owned()));
        let read = Self::read_rest(name.to_owned(), plugin, location, table);
        let read = read.map(|read| Self {
            is_dropped_in: true,
            trust: trust.cloned(),
            ..read
        });
        read.filter(|_| document.error_count() == before)
    }

    /// Reads the file of `plugin test`, whose keys are those of `NAME.toml`, but for the cases, which the caller has taken.
    /// Returns `None` if it has any mistake.
    pub fn for_test(plugin: PluginSource, mut table: Table<'_>) -> Option<Self> {
        let document = table.place.document();
        let before = document.error_count();
        if let Some(item) = table.take("plugin") {
            item.place
                .report("isn't allowed here: the command line names the plugin");
        }
        let place = table.place.clone();
        let name = plugin.name().to_owned();
        let read = Self::read_rest(name, Some(plugin), place.location().clone(), table)?;
        if read.sha256.is_some() {
            document.report(
                place
                    .location()
                    .key("sha256")
                    .error("isn't allowed here: a plugin changes while it is tested"),
            );
        }
        if let Some(acceptor) = &read.grants.negotiate {
            let message = format!("names the acceptor {acceptor:?}, and `plugin test` has none");
            document.report(place.location().key("grants").key("negotiate").error(message));
        }
        (document.error_count() == before).then_some(read)
    }

    /// Makes the configuration of a plugin in the plugin directory that has no `NAME.toml`. `trust` is that of `[plugins]`.
    pub fn bare(name: &str, wasm: &Path, location: Location, trust: Option<&Arc<TrustedKeys>>) -> Self {
        Self {
            name: name.to_owned(),
            plugin: PluginSource::File(wasm.to_owned()),
            is_dropped_in: true,
            sha256: None,
            trust: trust.cloned(),
            settings: Settings::undescribed(wasm),
            location,
            grants: Grants::default(),
            signing_keys: SigningKeys::new(),
            outbound: Outbound::default(),
            rotating: Vec::new(),
            limits: Limits::default(),
            instances: None,
            log: None,
            login: None,
        }
    }

    /// Makes the configuration of a plugin that has no file: these grants, and no settings.
    pub fn alone(plugin: PluginSource, grants: Grants) -> Self {
        let location = Location::file(plugin.to_string());
        Self {
            name: plugin.name().to_owned(),
            is_dropped_in: false,
            sha256: None,
            trust: None,
            settings: Settings::none(location.key("settings")),
            location,
            plugin,
            grants,
            signing_keys: SigningKeys::new(),
            outbound: Outbound::default(),
            rotating: Vec::new(),
            limits: Limits::default(),
            instances: None,
            log: None,
            login: None,
        }
    }

    /// Makes an error about the component, at the place that names it. The message names the component's file unless the place
    /// does.
    pub fn error(&self, error: &str) -> ConfigError {
        match &self.plugin {
            PluginSource::File(path) if !self.location.is_file(path) => {
                self.location.error(format!("{}: {error}", path.display()))
            }
            PluginSource::Registry(reference) => self.location.error(format!("{reference}: {error}")),
            PluginSource::File(_) | PluginSource::BuiltIn(_) => self.location.error(error),
        }
    }

    /// Reads the keys that all kinds of sources have in common.
    pub(super) fn read_rest(
        name: String,
        plugin: Option<PluginSource>,
        location: Location,
        mut table: Table<'_>,
    ) -> Option<Self> {
        let sha256 = table
            .take("sha256")
            .and_then(|item| item.parse("a SHA-256: 64 hex digits", |text| text.parse().ok()));
        let settings = match table.take("settings") {
            Some(item) => Settings::read(item),
            None => Some(Settings::none(table.place.location().key("settings"))),
        };
        let (grants, signing_keys) = table
            .take("grants")
            .and_then(Item::table)
            .map(grants::read)
            .unwrap_or_default();
        let (outbound, rotating) = outbound::read(&mut table, &grants);
        let limits = table
            .take("limits")
            .and_then(Item::table)
            .map(limits::read)
            .unwrap_or_default();
        let instances = table
            .take("instances")
            .and_then(|item| instances::read(item, plugin.as_ref(), &limits));
        let log = table.take("log").and_then(|item| {
            item.parse(
                "a level: \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
                |text| LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level),
            )
        });
        let login = offered_login(&name, &mut table);
        table.finish();
        Some(Self {
            name,
            plugin: plugin?,
            is_dropped_in: false,
            location,
            sha256,
            trust: None,
            settings: settings?,
            grants,
            signing_keys,
            outbound,
            rotating,
            limits,
            instances,
            log,
            login,
        })
    }
}

/// Reads `login` and `title`.
fn offered_login(name: &str, table: &mut Table<'_>) -> Option<OfferedLogin> {
    let is_offered = table.take("login").and_then(Item::boolean).unwrap_or_default();
    let title = table.take("title");
    if let (false, Some(title)) = (is_offered, &title) {
        title
            .place
            .report("has no effect without login = true: it is what people read where they choose how to log in");
    }
    let title = title.and_then(|title| {
        title.parse("1 to 64 characters, none of them a control character", |text| {
            let is_title = (1..=64).contains(&text.chars().count()) && !text.contains(char::is_control);
            is_title.then(|| text.to_owned())
        })
    });
    is_offered.then(|| OfferedLogin {
        title: title.unwrap_or_else(|| name.to_owned()),
    })
}

impl fmt::Display for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(name) => write!(f, "built-in {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Registry(reference) => write!(f, "{reference}"),
        }
    }
}

impl PluginSource {
    /// The plugin that an argument of the command line names: one in a registry, a built-in one, or else a file. The error is
    /// a sentence.
    pub fn of_argument(argument: &Path, is_built_in: impl Fn(&str) -> bool) -> Result<Self, String> {
        match argument.to_str() {
            Some(text) if text.starts_with(SCHEME) => {
                let reference = text.parse::<Reference>();
                reference
                    .map(Self::Registry)
                    .map_err(|error| format!("{text:?} {error}"))
            }
            Some(name) if is_built_in(name) => Ok(Self::BuiltIn(name.to_owned())),
            _ => Ok(Self::File(argument.to_owned())),
        }
    }

    /// Whether a registry has it.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Registry(_))
    }

    /// A name for it that follows [`NAME_RULE`].
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(name) => name,
            Self::File(path) => {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                stem.filter(|stem| is_name(stem)).unwrap_or("plugin")
            }
            Self::Registry(reference) => Some(reference.name()).filter(|name| is_name(name)).unwrap_or("plugin"),
        }
    }

    /// A value that begins with `oci://` is a reference. Another one that contains a slash or ends in `.wasm` is the path of a
    /// file.
    fn parse(item: Item<'_>) -> Option<Self> {
        let place = item.place.clone();
        let document = place.document();
        let text = item.text()?;
        if text.starts_with(SCHEME) {
            let reference = text.parse::<Reference>();
            let reference = reference
                .map_err(|error| place.report(format!("{text:?} {error}")))
                .ok()?;
            if matches!(reference.version(), Version::Tag(_)) {
                document.note_lock();
            }
            return Some(Self::Registry(reference));
        }
        let file = text.contains(['/', '\\']) || text.ends_with(".wasm");
        Some(if file {
            Self::File(document.component(&text))
        } else {
            Self::BuiltIn(text)
        })
    }
}
