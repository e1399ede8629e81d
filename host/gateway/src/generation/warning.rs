//! What is allowed in a configuration but may not be meant. `check`, `explain` and the log at the start say so.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Component;
use portcullis::Plugin;
use portcullis_loader::PluginWarning;
use portcullis_loader::files::is_writable_for_group;

use crate::config::ConfigError;
use crate::config::Paths;
use crate::generation::AccessWidening;
use crate::generation::Route;
use crate::generation::widening::strictness;

/// A warning about a route, an authenticator or a file of the plugin directory.
#[derive(Clone, Debug)]
pub(crate) enum Warning {
    /// Something about a plugin or its settings.
    Plugin(PluginWarning),
    /// The plugin of this authenticator is named by a tag that has no pin.
    Unpinned {
        /// The name of the authenticator.
        authenticator: String,
        /// What is missing.
        error: ConfigError,
    },
    /// A file or folder decides which plugins run, and its group may write to it.
    GroupWritable(PathBuf),
    /// The route is more permissive than the route that would serve its requests without it.
    Widening(AccessWidening),
    /// The route accepts paths that programs read in different ways, and this plugin asks for the path.
    PathReader {
        /// The route.
        route: Arc<Route>,
        /// The name of the plugin.
        plugin: String,
    },
    /// The route lists methods, and others are left to a more permissive route.
    OtherMethods {
        /// The route.
        route: Arc<Route>,
        /// The route that serves the same path with other methods.
        wider: Arc<Route>,
    },
}

impl Warning {
    /// A warning for each of these files and folders to which its group may write.
    pub(super) fn of_permissions(guarded: &[PathBuf]) -> impl Iterator<Item = Self> {
        let writable = guarded.iter().filter(|path| is_writable_for_group(path));
        writable.cloned().map(Self::GroupWritable)
    }

    /// All warnings about paths, in the order of the routes.
    pub(super) fn of_paths(routes: &[Arc<Route>]) -> impl Iterator<Item = Self> {
        let as_is = routes.iter().filter(|route| route.config.paths == Paths::AsIs);
        as_is.flat_map(|route| {
            let readers = asked(route).filter(|plugin| plugin.component().is_some_and(Component::asks_for_path));
            readers.map(|plugin| Self::PathReader {
                route: Arc::clone(route),
                plugin: plugin.name().to_owned(),
            })
        })
    }

    /// All warnings about methods, in the order of the routes.
    pub(super) fn of_methods(routes: &[Arc<Route>]) -> impl Iterator<Item = Self> {
        routes.iter().filter_map(|route| {
            let matcher = &route.config.matcher;
            let served = routes.iter().filter(|other| {
                let other = &other.config.matcher;
                other.methods.are_all() && other.path.covers(&matcher.path) && other.serves_hosts_of(matcher)
            });
            let wider = served.max_by_key(|other| other.config.matcher.path.depth())?;
            let is_open = strictness(&wider.access) < strictness(&route.access);
            (!matcher.methods.are_all() && is_open).then(|| Self::OtherMethods {
                route: Arc::clone(route),
                wider: Arc::clone(wider),
            })
        })
    }

    /// Why an authenticator is disabled. `None` if the warning is about something else.
    pub(super) fn disabling(&self) -> Option<&ConfigError> {
        match self {
            Self::Plugin(warning) => warning.disabling(),
            _ => None,
        }
    }

    /// Whether it matters to the requests of this route.
    pub(crate) fn concerns(&self, served: &Arc<Route>) -> bool {
        let asks = |name: &str| asked(served).any(|asked| asked.name() == name);
        match self {
            Self::GroupWritable(_) => false,
            Self::Widening(widening) => Arc::ptr_eq(&widening.route, served),
            Self::OtherMethods { route, .. } | Self::PathReader { route, .. } => Arc::ptr_eq(route, served),
            Self::Plugin(warning) => asks(warning.plugin()),
            Self::Unpinned { authenticator, .. } => asks(authenticator),
        }
    }

    /// Writes it to the log.
    pub(super) fn log(&self) {
        match self {
            Self::Widening(AccessWidening { route, .. })
            | Self::OtherMethods { route, .. }
            | Self::PathReader { route, .. } => tracing::info!(route = route.name, "{self}"),
            Self::Plugin(warning) => warning.log(),
            Self::Unpinned { authenticator, .. } => tracing::warn!(authenticator, "{self}"),
            Self::GroupWritable(_) => tracing::warn!("{self}"),
        }
    }
}

/// The plugins that a route asks.
fn asked(route: &Route) -> impl Iterator<Item = &Plugin> {
    let gate = route.access.gate().into_iter();
    let authenticators = gate.flat_map(|gate| gate.chain().authenticators());
    let authorizers = route.authorizers.iter().map(|authorizer| &**authorizer);
    authenticators.map(|authenticator| &**authenticator).chain(authorizers)
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Widening(widening) => widening.fmt(f),
            Self::Plugin(warning) => warning.fmt(f),
            Self::Unpinned { error, .. } => error.fmt(f),
            Self::GroupWritable(path) => {
                let path = path.display();
                write!(
                    f,
                    "{path} is writable for its group, whose members can thereby add or replace a plugin; run: chmod g-w {path}, \
                     unless it is the group of a Kubernetes volume (fsGroup)"
                )
            }
            Self::OtherMethods { route, wider } => {
                let (methods, access) = (&route.config.matcher.methods, wider.access.label());
                write!(
                    f,
                    "{} serves only {methods}; all other methods are served by {}, which is {access}",
                    route.name, wider.name
                )
            }
            Self::PathReader { route, plugin } => write!(
                f,
                "{} has paths = \"as-is\", and {plugin} asks for the path: it may read another path than the upstream",
                route.name
            ),
        }
    }
}
