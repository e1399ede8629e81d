//! The gateway's configuration: one TOML file, and the files in the plugin directory. Every value is parsed into the
//! type that the rest of the gateway uses, and everything that is wrong is reported at once, with its line.

mod authenticator;
mod document;
mod error;
mod plugins;
mod reader;
mod route;
mod secret;
mod server;
mod session;
mod settings;
mod values;

pub(crate) use authenticator::AuthenticatorConfig;
pub(crate) use authenticator::PluginSource;
pub(crate) use document::Environment;
pub(crate) use document::Source;
pub(crate) use error::ConfigError;
pub(crate) use error::ConfigErrors;
pub(crate) use plugins::PluginsConfig;
pub(crate) use route::Cookies;
pub(crate) use route::IdentityHeaders;
pub(crate) use route::RouteAccess;
pub(crate) use route::RouteConfig;
pub(crate) use route::Upstream;
pub(crate) use secret::Secret;
pub(crate) use server::ServerConfig;
pub(crate) use session::SessionConfig;

/// What a configuration says.
#[derive(Debug)]
pub(crate) struct Config {
    /// The public listener.
    pub(crate) server: ServerConfig,
    /// Session cookies; none: every request is authenticated by its own credentials.
    pub(crate) session: Option<SessionConfig>,
    /// Where plugins come from and where their compiled form is kept.
    pub(crate) plugins: PluginsConfig,
    /// Every authenticator, those of the plugin directory included.
    pub(crate) authenticators: Vec<AuthenticatorConfig>,
    /// The routes, in the file's order.
    pub(crate) routes: Vec<RouteConfig>,
}
