//! One loaded configuration: its authenticators, ready to be asked, and its routes. It never changes; a new
//! configuration makes the next one.

mod acceptors;
mod authenticators;
mod components;
mod credentials;
mod describe;
mod opening;
mod route;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use portcullis::Authenticator;
use portcullis::Engine;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::Sessions;
use portcullis_wire::path::CanonicalPath;

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ConfigErrors;
use crate::config::Draft;
use crate::config::Location;
use crate::routing::table::RouteTable;

pub(crate) use components::MAX_COMPONENT;
pub(crate) use credentials::Credentials;
pub(crate) use opening::Opening;
pub(crate) use route::Access;
pub(crate) use route::Route;

/// One loaded configuration.
#[derive(Debug)]
pub(crate) struct Generation {
    table: RouteTable<Arc<Route>>,
    routes: Vec<Arc<Route>>,
    openings: Vec<Opening>,
    authenticators: Vec<Authenticator>,
    sessions: Option<Arc<Sessions>>,
    identity_headers: Vec<HeaderName>,
}

impl Generation {
    /// Loads and configures every plugin of a configuration.
    ///
    /// # Errors
    ///
    /// Every mistake at once: those of the file, and what the plugins say about their settings.
    pub(crate) async fn load(draft: Draft, engine: &Engine) -> Result<Self, ConfigErrors> {
        let Draft { config, mut errors } = draft;
        let (acceptors, found) = acceptors::start(&config.negotiate).await;
        errors.extend(found);
        let (authenticators, found) = authenticators::load(&config.authenticators, &acceptors, engine).await;
        errors.extend(found);
        if errors.is_empty() {
            Self::assemble(config, &authenticators).map_err(|error| ConfigErrors::new(vec![error]))
        } else {
            Err(ConfigErrors::new(errors))
        }
    }

    /// The route that serves a request. `authority` is what the client asked for; a port is ignored.
    ///
    /// A route that names the host wins over one that names none; then the longest path wins.
    pub(crate) fn route(&self, authority: Option<&str>, path: &CanonicalPath) -> Option<&Arc<Route>> {
        self.table.find(authority, path)
    }

    /// Whether any route serves a host; a port is ignored.
    pub(crate) fn serves_host(&self, authority: &str) -> bool {
        self.table.serves_host(authority)
    }

    /// The routes, in the configuration's order.
    pub(crate) fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The routes that let in whom the route around them would not, in the configuration's order.
    pub(crate) fn openings(&self) -> &[Opening] {
        &self.openings
    }

    /// The authenticators, by name.
    pub(crate) fn authenticators(&self) -> &[Authenticator] {
        &self.authenticators
    }

    /// What opens and clears session cookies; none when sessions are off.
    pub(crate) fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.as_ref()
    }

    /// The identity headers of all routes, each once: no client may send any of them to any upstream.
    pub(crate) fn identity_headers(&self) -> &[HeaderName] {
        &self.identity_headers
    }

    fn assemble(config: Config, authenticators: &HashMap<String, Authenticator>) -> Result<Self, ConfigError> {
        let sessions = sessions(&config)?.map(Arc::new);
        let mut names = Vec::from_iter(config.routes.iter().flat_map(|route| route.identity.names()).cloned());
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let mut routes = Vec::with_capacity(config.routes.len());
        let mut places = Vec::with_capacity(config.routes.len());
        for route in config.routes {
            places.push((route.hosts.clone(), route.path.clone()));
            routes.push(Arc::new(Route::new(route, authenticators, sessions.as_ref())?));
        }
        let placed = places.iter().zip(&routes);
        let placed = Vec::from_iter(placed.map(|((hosts, path), route)| (&hosts[..], path, route)));
        let openings = Opening::among(&placed);
        let placed = placed
            .into_iter()
            .map(|(hosts, path, route)| (hosts, path.clone(), Arc::clone(route)));
        let mut authenticators = Vec::from_iter(authenticators.values().cloned());
        authenticators.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(Self {
            table: RouteTable::new(placed),
            openings,
            routes,
            authenticators,
            sessions,
            identity_headers: names,
        })
    }
}

fn sessions(config: &Config) -> Result<Option<Sessions>, ConfigError> {
    let Some(session) = &config.session else {
        return Ok(None);
    };
    let error = |message: &str| Location::file("session").error(message);
    // Browsers take a secure cookie over plain HTTP from their own machine only, and not all of them do.
    let secure = session.secure.unwrap_or_else(|| !config.server.listen.is_loopback());
    let options =
        Options::new(&session.cookie, secure, session.max_age).ok_or_else(|| error("the cookie has no usable name"))?;
    let keys = KeyRing::new(session.keys.iter().cloned()).map_err(|problem| error(&problem.to_string()))?;
    Ok(Some(Sessions::new(keys, options)))
}

#[cfg(test)]
mod tests;
