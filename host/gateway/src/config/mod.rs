//! The gateway's configuration: a TOML file with the files that it includes and the variables that override it, and the files in the
//! plugin directory. Every value is parsed into the type
//! that the rest of the gateway uses, and all mistakes are reported together, each with its file, line and key.

mod access_log;
mod admin;
mod assertion;
mod audit;
mod authorize;
mod bounds;
mod cors;
mod front;
mod header_template;
mod identity;
mod listen;
mod login;
mod negotiate;
mod passthrough;
mod plugins;
mod project;
mod redirect;
mod reference;
mod require;
mod route;
mod schema;
mod sections;
mod sent_groups;
mod server;
mod session;
mod shared_state;
mod state;
mod telemetry;
mod tls;
mod token;
mod upstream;
mod validate;
mod websocket_token;

use std::path::Path;
use std::path::PathBuf;

use portcullis::Role;
use portcullis_loader::config::RegistriesConfig;
use portcullis_loader::config::document;
use portcullis_loader::config::document::lock_beside;
use portcullis_loader::config::plugin::MAX_PLUGINS;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::sources::Sources;
use portcullis_loader::config::values;
use portcullis_loader::config::whole;
use portcullis_loader::config::whole::Whole;
use portcullis_loader::files::read_text;
use portcullis_loader::remote::Unpinned;
use portcullis_watch::Stamp;

pub(crate) use access_log::AccessLogFormat;
pub(crate) use admin::AdminConfig;
pub(crate) use assertion::AssertionConfig;
pub(crate) use audit::AuditConfig;
pub(crate) use audit::AuditTarget;
pub(crate) use audit::WhenFull;
pub(crate) use authorize::AuthorizeWith;
pub(crate) use bounds::Bounds;
pub(crate) use cors::Cors;
pub(crate) use front::ExtAuthzConfig;
pub(crate) use front::ForwardAuthConfig;
pub(crate) use front::ListenConfig;
pub(crate) use header_template::Fact;
pub(crate) use header_template::HeaderTemplate;
pub(crate) use header_template::Piece;
pub(crate) use identity::AttributeHeader;
pub(crate) use identity::IdentityHeaders;
pub(crate) use listen::Listen;
pub(crate) use listen::ListenAddress;
pub(crate) use login::LoginConfig;
pub(crate) use login::Origin;
pub(crate) use login::PageName;
pub(crate) use login::Templates;
pub(crate) use negotiate::ChannelBindings;
pub(crate) use negotiate::NegotiateConfig;
pub(crate) use passthrough::PassthroughConfig;
pub(crate) use plugins::PluginsConfig;
pub(crate) use plugins::described;
pub(crate) use plugins::plugin_argument;
pub(crate) use portcullis_loader::cases::Case;
pub(crate) use portcullis_loader::cases::CasesFile;
pub(crate) use portcullis_loader::config::digests::Digests;
pub(crate) use portcullis_loader::config::document::Environment;
pub(crate) use portcullis_loader::config::error::ConfigError;
pub(crate) use portcullis_loader::config::error::ConfigErrors;
pub(crate) use portcullis_loader::config::error::Location;
pub(crate) use portcullis_loader::config::error::unknown;
pub(crate) use portcullis_loader::config::located::Content;
pub(crate) use portcullis_loader::config::located::Located;
pub(crate) use portcullis_loader::config::plugin::PluginConfig;
pub(crate) use portcullis_loader::config::plugin::PluginSource;
pub(crate) use portcullis_loader::config::rotation::RotatingHeader;
pub(crate) use portcullis_loader::config::secret::Secret;
pub(crate) use portcullis_loader::config::secret::is_reference;
pub(crate) use portcullis_loader::config::trust::trusted_key_file;
pub(crate) use project::PluginProject;
pub(crate) use redirect::RedirectConfig;
pub(crate) use require::Require;
pub(crate) use route::Cookies;
pub(crate) use route::Paths;
pub(crate) use route::RouteAccess;
pub(crate) use route::RouteConfig;
pub(crate) use route::UpstreamHost;
pub(crate) use schema::schema;
#[cfg(test)]
pub(crate) use sent_groups::GroupPattern;
pub(crate) use sent_groups::SentGroups;
pub(crate) use server::ServerConfig;
pub(crate) use session::SessionConfig;
pub(crate) use shared_state::SharedStateConfig;
pub(crate) use state::StateConfig;
pub(crate) use telemetry::OtlpProtocol;
pub(crate) use telemetry::ParentTrust;
pub(crate) use telemetry::TelemetryConfig;
pub(crate) use telemetry::TracesConfig;
pub(crate) use tls::TlsConfig;
pub(crate) use token::Token;
pub(crate) use upstream::Address;
pub(crate) use upstream::HealthConfig;
pub(crate) use upstream::Keepalive;
pub(crate) use upstream::Protocol;
pub(crate) use upstream::ServerConfig as UpstreamServerConfig;
pub(crate) use upstream::Upstream;
pub(crate) use upstream::UpstreamConfig;
pub(crate) use websocket_token::TokenPrefix;

use upstream::Upstreams;

/// A complete configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The public listener.
    pub(crate) server: ServerConfig,
    /// The listener for metrics and health. `None` if they aren't served.
    pub(crate) admin: Option<AdminConfig>,
    /// The endpoints for fronts over HTTP. `None` if they aren't served.
    pub(crate) forward_auth: Option<ForwardAuthConfig>,
    /// The gRPC endpoint for Envoy. `None` if it isn't served.
    pub(crate) ext_authz: Option<ExtAuthzConfig>,
    /// The file or socket for the lines of the audit log. `None` if they are in the log alone.
    pub(crate) audit: Option<AuditConfig>,
    /// The form of the access log. `None` if there is none.
    pub(crate) access_log: Option<AccessLogFormat>,
    /// Where traces are sent. `None` if there are none.
    pub(crate) telemetry: Option<TelemetryConfig>,
    /// Where the gateway keeps what must outlast a restart.
    pub(crate) state: StateConfig,
    /// What the assertions of all routes have in common.
    pub(crate) assertion: AssertionConfig,
    /// Session cookies. `None` if every request is authenticated by its own credentials.
    pub(crate) session: Option<SessionConfig>,
    /// The server that several gateways share. `None` if this one keeps its state itself.
    pub(crate) shared_state: Option<SharedStateConfig>,
    /// Logins with a browser. `None` if nobody can log in.
    pub(crate) login: Option<LoginConfig>,
    /// The cache of compiled plugins, and the memory that plugins may use.
    pub(crate) plugins: PluginsConfig,
    /// The registries that plugins come from.
    pub(crate) registries: RegistriesConfig,
    /// The acceptors of Kerberos tokens.
    pub(crate) negotiate: Vec<NegotiateConfig>,
    /// All authenticators and authorizers, including those of the plugin directory.
    pub(crate) plugin_entries: Vec<PluginConfig>,
    /// The routes, in the order of the file.
    pub(crate) routes: Vec<RouteConfig>,
}

impl Config {
    /// The settings of all listeners for clients and fronts.
    pub(crate) fn listen(&self) -> ListenConfig {
        ListenConfig {
            server: self.server.clone(),
            forward_auth: self.forward_auth.clone(),
            ext_authz: self.ext_authz.clone(),
        }
    }

    /// Whether metrics are recorded, because an admin listener serves them or a collector gets them.
    pub(crate) fn records_metrics(&self) -> bool {
        let collector = self.telemetry.as_ref();
        self.admin.is_some() || collector.is_some_and(|telemetry| telemetry.metrics.is_some())
    }
}

/// The valid parts of a configuration, and its mistakes.
///
/// The mistakes that plugins find in their settings are added later, so that the operator sees all mistakes together. A
/// value with a mistake is missing from `config`, or has its default there.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The valid parts.
    pub(crate) config: Config,
    /// The mistakes.
    pub(crate) errors: Vec<ConfigError>,
    /// The values, for a comparison with another configuration.
    pub(crate) digests: Digests,
    /// The files and folders that were read, including those that couldn't be, with their state before that.
    pub(crate) watched: Vec<(PathBuf, Stamp)>,
    /// The files and folders that decide which plugins run. Some may not exist.
    pub(crate) guarded: Vec<PathBuf>,
    /// The file with the pins of tags, which may not exist. `None` without a configuration file.
    pub(crate) lock: Option<PathBuf>,
    /// What happens with a tag that has no pin.
    pub(crate) unpinned: Unpinned,
}

impl Draft {
    /// Reads a configuration file, with what it includes and what overrides it, and its plugin directory.
    pub(crate) fn read(path: &Path, environment: &Environment) -> Self {
        Self::read_looking(path, environment, |_| ())
    }

    /// Reads a configuration like [`Draft::read`], and copies its values with their places. There is no copy if it can't be read.
    pub(crate) fn read_located(path: Option<&Path>, environment: &Environment) -> (Self, Option<Located>) {
        let mut located = None;
        let look = |root: &Table<'_>| located = Some(root.located());
        let draft = match path {
            Some(path) => Self::read_looking(path, environment, look),
            None => {
                let (path, text) = BUILT_IN;
                Self::parse_noting(Path::new(path), text, environment, Sources::default(), look)
            }
        };
        (draft, located)
    }

    /// `look` is called with the whole before it is read.
    fn read_looking(path: &Path, environment: &Environment, look: impl FnOnce(&Table<'_>)) -> Self {
        let sources = Sources::default();
        sources.note(path);
        match read_text(path, document::MAX_FILE) {
            Ok(text) => Self {
                lock: Some(lock_beside(path)),
                ..Self::parse_noting(path, &text, environment, sources, look)
            },
            Err(error) => {
                let error = Location::file(path.display().to_string()).error(error);
                Self {
                    errors: vec![error],
                    watched: sources.into_watched(),
                    ..Self::default()
                }
            }
        }
    }

    /// The configuration that is used without a configuration file.
    pub(crate) fn built_in(environment: &Environment) -> Self {
        let (path, text) = BUILT_IN;
        Self::parse(Path::new(path), text, environment)
    }

    fn parse(path: &Path, text: &str, environment: &Environment) -> Self {
        Self::parse_noting(path, text, environment, Sources::default(), |_| ())
    }

    /// The files that the text names are added to the sources.
    fn parse_noting(
        path: &Path,
        text: &str,
        environment: &Environment,
        sources: Sources,
        look: impl FnOnce(&Table<'_>),
    ) -> Self {
        let (document, entries) = Whole::new(path, text, environment, &sources).into_parts();
        let mut draft = Self::default();
        if let Some(entries) = entries {
            let root = Table::of(&document, entries);
            look(&root);
            let values = root.values(&[]);
            draft.read_root(root, environment);
            draft.digests.add(values, &document);
        }
        draft.errors.extend(document.into_errors());
        draft.guarded = sources.guarded();
        draft.watched = sources.into_watched();
        draft
    }

    fn read_root(&mut self, mut root: Table<'_>, environment: &Environment) {
        // It has been followed already, and is no longer there. A blank document is told of it.
        values::each(root.take(whole::INCLUDE), Item::text);
        self.config.server = root.section("server").map(ServerConfig::read).unwrap_or_default();
        self.config.admin = root.take("admin").and_then(Item::table).and_then(AdminConfig::read);
        self.config.audit = root.take("audit").and_then(Item::table).and_then(AuditConfig::read);
        let access_log = root.take("access_log").and_then(Item::table);
        self.config.access_log = access_log.map(AccessLogFormat::read);
        let telemetry = root.take("telemetry").and_then(Item::table);
        self.config.telemetry = telemetry.and_then(TelemetryConfig::read);
        let trusted = !self.config.server.trusted_proxies.is_empty();
        let fronts = ["forward_auth", "ext_authz"].map(|key| root.take(key));
        let has_front = fronts.iter().any(Option::is_some);
        let [forward_auth, ext_authz] = fronts.map(|item| item.and_then(Item::table));
        self.config.forward_auth = forward_auth.map(|table| ForwardAuthConfig::read(table, trusted));
        self.config.ext_authz = ext_authz.and_then(|table| ExtAuthzConfig::read(table, trusted));
        let assertion = root.section("assertion").map(AssertionConfig::read);
        self.config.assertion = assertion.unwrap_or_default();
        let shared_state = root.take("shared_state").and_then(Item::table);
        self.config.shared_state = shared_state.and_then(SharedStateConfig::read);
        let session = root.take("session");
        self.config.state = StateConfig::read(root.take("state"), environment);
        self.config.login = root.take("login").and_then(Item::table).map(LoginConfig::read);
        let (plugins, directory) = PluginsConfig::read(root.section("plugins"), environment);
        let trust = plugins.trust.clone();
        self.config.plugins = plugins;

        let registries = root.take("registries").and_then(Item::table);
        self.config.registries = RegistriesConfig::read(registries, environment);
        let acceptors = root.take("negotiate").and_then(Item::table);
        let mut acceptor_names = Vec::new();
        for (name, item) in acceptors.into_iter().flat_map(Table::into_entries) {
            acceptor_names.push(name.clone());
            self.config
                .negotiate
                .extend(NegotiateConfig::read(name, item, environment));
        }

        let mut found = directory
            .map(|directory| directory.search(environment, root.place.document().sources(), trust.as_ref()))
            .unwrap_or_default();
        let mut names = PluginNames::default();
        for role in [Role::Authenticator, Role::Authorizer] {
            let section = match role {
                Role::Authorizer => root.take("authorizers"),
                _ => root.take("authenticators"),
            };
            let configured = section.and_then(Item::table);
            for (name, item) in configured.into_iter().flat_map(Table::into_entries) {
                if let Some(other) = found.names.iter().find(|other| other.name == name) {
                    item.place.report(format!(
                        "{} in the plugin directory has the same name",
                        other.wasm.display()
                    ));
                }
                if role == Role::Authorizer && names.authenticators.contains(&name) {
                    item.place
                        .report("an authenticator has the same name, and logs and metrics tell plugins by their names");
                }
                names.add(name.clone(), Some(role));
                self.config
                    .plugin_entries
                    .extend(PluginConfig::read(name, role, item, trust.as_ref()));
            }
        }
        for plugin in found.names {
            names.add(plugin.name, plugin.role);
        }
        self.config.plugin_entries.append(&mut found.configured);
        // What the directory configures is configuration: a mistake in it is one, whether a route asks the plugin or not.
        self.errors
            .extend(found.errors.into_iter().map(|mistake| mistake.error));
        self.digests = found.digests;
        if names.count > MAX_PLUGINS {
            root.place
                .report(format!("more than {} authenticators and authorizers", MAX_PLUGINS));
            self.config.plugin_entries.truncate(MAX_PLUGINS);
        }
        let upstreams = Upstreams::read(root.take("upstreams"));
        let logs_in = self.config.plugin_entries.iter().any(|own| own.login.is_some());
        self.config.session = match session {
            Some(item) => item.table().map(|table| SessionConfig::read(table, &upstreams)),
            None => SessionConfig::of_environment(&root.place, logs_in),
        };
        self.config.routes = routes(&mut root, &names, &upstreams, has_front);
        let place = root.place.clone();
        root.finish();
        self.validate_granted_cookies();
        self.validate_logins();
        self.validate_granted_acceptors(&acceptor_names);
        self.validate_concurrency(&place);
        self.validate_systemd_sockets();
    }
}

/// The secrets that variables have if they aren't configured: the section, the key, and the variables, of which the first that is set
/// counts.
pub(crate) const SECRETS_OF_ENVIRONMENT: [(&str, &str, [&str; 2]); 3] = [
    ("session", "keys", session::VARIABLES),
    ("forward_auth", "proxy_token", front::VARIABLES),
    ("ext_authz", "proxy_token", front::VARIABLES),
];

/// The name and the text of the configuration that is used without a file.
const BUILT_IN: (&str, &str) = ("built-in configuration", include_str!("default.toml"));

/// The names that routes may list, including those of plugins with mistakes.
#[derive(Debug, Default)]
pub(crate) struct PluginNames {
    /// Those of authenticators.
    authenticators: Vec<String>,
    /// Those of authorizers.
    authorizers: Vec<String>,
    count: usize,
}

impl PluginNames {
    /// Adds a plugin in this role. `None` if it isn't known, because its component can't be read: that is an error of its own.
    fn add(&mut self, name: String, role: Option<Role>) {
        self.count += 1;
        if role != Some(Role::Authorizer) {
            self.authenticators.push(name.clone());
        }
        if role != Some(Role::Authenticator) {
            self.authorizers.push(name);
        }
    }
}

fn routes(root: &mut Table<'_>, names: &PluginNames, upstreams: &Upstreams, has_front: bool) -> Vec<RouteConfig> {
    let Some(item) = root.take("routes") else {
        root.place.report("there is no route: add [[routes]]");
        return Vec::new();
    };
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report("there is no route: add [[routes]]");
    }
    if items.len() > route::MAX_ROUTES {
        place.report(format!("more than {} routes", route::MAX_ROUTES));
    }
    let routes = Vec::from_iter(
        items
            .into_iter()
            .filter_map(|item| RouteConfig::read(item, names, upstreams, has_front)),
    );
    for (index, route) in routes.iter().enumerate() {
        let earlier = routes.iter().take(index);
        if let Some(first) = earlier
            .into_iter()
            .find(|first| first.matcher.contradicts(&route.matcher))
        {
            let first = &first.location;
            place.document().report(
                route
                    .location
                    .error(format!("serves the same host, path and method as {first}")),
            );
        }
    }
    routes
}

#[cfg(test)]
mod tests;
