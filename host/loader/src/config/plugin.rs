//! `[authenticators.NAME]` and `[authorizers.NAME]`: a plugin with its settings, grants and limits. Plugins in the plugin
//! directory have the same keys in a file of their own.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Digest;
use portcullis::Grants;
use portcullis::KeepInstances;
use portcullis::Limits;
use portcullis::Outbound;
use portcullis::Role;
use portcullis_registry::Reference;
use portcullis_registry::SCHEME;
use portcullis_registry::Version;

use crate::config::error::ConfigError;
use crate::config::error::Location;
use crate::config::grants;
use crate::config::grants::GrantsConfig;
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

/// The maximum number of authenticators and authorizers.
pub const MAX_PLUGINS: usize = 4096;

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

/// A plugin and how it is configured: an authenticator or an authorizer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginConfig {
    /// The name, for routes and logs. No authenticator has the name of an authorizer.
    pub name: String,
    /// The role in which it is asked: [`Role::Authenticator`] or [`Role::Authorizer`].
    pub role: Role,
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
    /// Whether the servers that the settings name are granted, too: those of a built-in plugin are, unless the configuration says
    /// which servers it may ask.
    pub grants_servers_of_settings: bool,
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
    /// The login that it offers to browsers. `None` if it offers none, as an authorizer does.
    pub login: Option<OfferedLogin>,
}

/// A login that an authenticator offers to browsers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OfferedLogin {
    /// What people read where they choose among several.
    pub title: String,
}

/// The section of a configuration that has the keys of plugins in this role.
pub(super) const fn section(role: Role) -> &'static str {
    match role {
        Role::Authorizer => "authorizers",
        _ => "authenticators",
    }
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

impl PluginConfig {
    /// Reads an entry of `[authenticators]` or `[authorizers]`. `trust` is that of `[plugins]`. Returns `None` if it has any
    /// mistake.
    pub fn read(name: String, role: Role, item: Item<'_>, trust: Option<&Arc<TrustedKeys>>) -> Option<Self> {
        let document = item.place.document();
        let before = document.error_count();
        if !is_name(&name) {
            item.place.report(format!("an {role}'s name must be {NAME_RULE}"));
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
        let read = Self::read_rest(name, role, plugin, location, table);
        let read = read.map(|read| Self { trust, ..read });
        read.filter(|_| document.error_count() == before)
    }

    /// Reads `NAME.toml` of a plugin in the plugin directory, whose component has this role. `trust` is that of `[plugins]`.
    /// Returns `None` if it has any mistake.
    pub fn from_directory(
        name: &str,
        role: Role,
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
        let read = Self::read_rest(name.to_owned(), role, plugin, location, table);
        let read = read.map(|read| Self {
            is_dropped_in: true,
            trust: trust.cloned(),
            ..read
        });
        read.filter(|_| document.error_count() == before)
    }

    /// Reads the file of `plugin test`, whose keys are those of `NAME.toml`, but for the cases, which the caller has taken.
    /// Returns `None` if it has any mistake.
    pub fn for_test(plugin: PluginSource, role: Role, mut table: Table<'_>) -> Option<Self> {
        let document = table.place.document();
        let before = document.error_count();
        if let Some(item) = table.take("plugin") {
            item.place
                .report("isn't allowed here: the command line names the plugin");
        }
        let place = table.place.clone();
        let name = plugin.name().to_owned();
        let read = Self::read_rest(name, role, Some(plugin), place.location().clone(), table)?;
        // As in `NAME.toml`, whose plugins are never built in.
        let read = Self {
            grants_servers_of_settings: false,
            ..read
        };
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

    /// Makes the configuration of a plugin in the plugin directory that has no `NAME.toml`, and whose component has this role.
    /// `trust` is that of `[plugins]`.
    pub fn bare(name: &str, role: Role, wasm: &Path, location: Location, trust: Option<&Arc<TrustedKeys>>) -> Self {
        Self {
            name: name.to_owned(),
            role,
            plugin: PluginSource::File(wasm.to_owned()),
            is_dropped_in: true,
            sha256: None,
            trust: trust.cloned(),
            settings: Settings::undescribed(wasm),
            location,
            grants: Grants::of_role(role),
            grants_servers_of_settings: false,
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
    pub fn alone(plugin: PluginSource, role: Role, grants: Grants) -> Self {
        let location = Location::file(plugin.to_string());
        Self {
            name: plugin.name().to_owned(),
            role,
            is_dropped_in: false,
            sha256: None,
            trust: None,
            settings: Settings::none(location.key("settings")),
            location,
            plugin,
            grants,
            grants_servers_of_settings: false,
            signing_keys: SigningKeys::new(),
            outbound: Outbound::default(),
            rotating: Vec::new(),
            limits: Limits::default(),
            instances: None,
            log: None,
            login: None,
        }
    }

    /// The section that has its keys in a configuration.
    pub const fn section(&self) -> &'static str {
        section(self.role)
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
        role: Role,
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
        let grants = table.section("grants").map(|table| grants::read(table, role));
        let grants = grants.unwrap_or_else(|| GrantsConfig::of_role(role));
        let GrantsConfig {
            grants,
            signing_keys,
            names_servers,
        } = grants;
        let grants_servers_of_settings = !names_servers && matches!(plugin, Some(PluginSource::BuiltIn(_)));
        let (outbound, rotating) = outbound::read(&mut table, &grants);
        let limits = table.section("limits").map(limits::read).unwrap_or_default();
        let instances = table
            .take("instances")
            .and_then(|item| instances::read(item, plugin.as_ref(), &limits));
        let log = table.take("log").and_then(|item| item.word_of("a level: ", &LEVELS));
        let login = match role {
            Role::Authorizer => no_login(&mut table),
            _ => offered_login(&name, &mut table),
        };
        table.finish();
        Some(Self {
            name,
            role,
            plugin: plugin?,
            is_dropped_in: false,
            location,
            sha256,
            trust: None,
            settings: settings?,
            grants,
            grants_servers_of_settings,
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

/// Reports `login` and `title` of an authorizer.
fn no_login(table: &mut Table<'_>) -> Option<OfferedLogin> {
    for item in ["login", "title"]
        .into_iter()
        .filter_map(|key| table.take_unlisted(key))
    {
        item.place
            .report("has no effect: nobody logs in with an authorizer, only with an authenticator");
    }
    None
}

/// Reads `login` and `title`.
fn offered_login(name: &str, table: &mut Table<'_>) -> Option<OfferedLogin> {
    let is_offered = table.flag("login", false);
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
