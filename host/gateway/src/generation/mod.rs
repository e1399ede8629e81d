//! One loaded configuration, with its plugins and its routes. A generation never changes; a new configuration
//! becomes the next generation.

mod acceptors;
mod components;
mod credentials;
mod describe;
mod difference;
mod facts;
mod logins;
mod previous;
mod revoke;
mod route;
mod series;
mod sessions;
mod warning;
mod widening;

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::uri::Scheme;
use portcullis::Authenticator;
use portcullis::Authorizer;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Engine;
use portcullis::Gate;
use portcullis::Plugin;
use portcullis::session::Key;
use portcullis::session::Sessions;
use portcullis_loader::AskedPlugin;
use portcullis_loader::Negotiators;
use portcullis_loader::PluginSet;
use portcullis_loader::remote::Remote;
use portcullis_loader::set::Inputs;
use portcullis_wire::client::Client;
use portcullis_wire::identity_names::IdentityNames;
use portcullis_wire::path::CanonicalPath;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

use crate::assertion::Assertions;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ConfigErrors;
use crate::config::Digests;
use crate::config::Draft;
use crate::config::ListenConfig;
use crate::config::PluginConfig;
use crate::config::RotatingHeader;
use crate::config::Upstream;
use crate::generation::previous::Previous;
use crate::generation::route::OfSessions;
use crate::generation::sessions::ending;
use crate::generation::sessions::keys;
use crate::generation::sessions::sends_assertions;
use crate::generation::sessions::sessions;
use crate::generation::sessions::shared;
use crate::kerberos::Acceptor;
use crate::proxy::ForbiddenTrailers;
use crate::proxy::Proxy;
use crate::proxy::UpstreamGroup;
use crate::routing::method::Methods;
use crate::routing::table::RouteTable;
use crate::sessions::EndedSessions;
use crate::sessions::Ending;
use crate::shared_state::Shared;

pub(crate) use credentials::Credentials;
pub(crate) use logins::LoginPoint;
pub(crate) use logins::Logins;
pub(crate) use route::Access;
pub(crate) use route::Destination;
pub(crate) use route::Route;
pub(crate) use warning::Warning;
pub(crate) use widening::AccessWidening;

/// Builds one plugin of a component, without routes and without acceptors. The warnings are about its settings.
pub(crate) async fn build_alone(
    config: &PluginConfig,
    component: &Component,
) -> Result<(AskedPlugin, Vec<Warning>), Vec<ConfigError>> {
    let (built, warnings) = portcullis_loader::build_alone(config, &Negotiators::new(), component).await?;
    Ok((built, warnings.into_iter().map(Warning::Plugin).collect()))
}

/// What a generation is put together of, beside its configuration.
struct Parts<'a> {
    plugins: PluginSet,
    warnings: Vec<Warning>,
    acceptors: HashMap<String, Acceptor>,
    engine: &'a Engine,
    keys: Vec<Key>,
    shared: Option<Arc<Shared>>,
}

/// One loaded configuration.
#[derive(Debug)]
pub(crate) struct Generation {
    digests: Digests,
    table: RouteTable<Arc<Route>>,
    routes: Vec<Arc<Route>>,
    warnings: Vec<Warning>,
    plugins: PluginSet,
    acceptors: HashMap<String, Acceptor>,
    /// The upstreams that routes use, by name.
    upstreams: HashMap<String, Arc<UpstreamGroup>>,
    /// Those of sessions, and of what is derived from them. Empty if nothing needs one.
    keys: Vec<Key>,
    sessions: Option<Arc<Sessions>>,
    /// What it shares with other gateways. `None` if it shares nothing.
    shared: Option<Arc<Shared>>,
    engine: Engine,
    /// `None` if no route sends assertions.
    assertions: Option<Arc<Assertions>>,
    /// The sessions that are over. `None` if sessions are disabled, and nothing is shared.
    ended: Option<Arc<EndedSessions>>,
    /// What this configuration says of them. `None` as above.
    ending: Option<Ending>,
    /// `None` if nobody can log in.
    logins: Option<Logins>,
    /// All authenticators, of which one has started each session.
    everybody: Gate,
    identity_headers: Vec<HeaderName>,
    identity_names: IdentityNames,
    trailers: Arc<ForbiddenTrailers>,
    listen: ListenConfig,
}

impl Generation {
    /// Loads and configures every plugin of a configuration. The routes share the upstreams of the proxy. What has the
    /// same configuration in the previous generation is taken from there, with everything that it has learnt.
    ///
    /// # Errors
    ///
    /// Returns all mistakes together: those in the file, and those that plugins report about their settings. A component that
    /// isn't of the required origin or fails its self-test is a mistake only if it would replace one that works; otherwise its
    /// authenticator is disabled.
    pub(crate) async fn load(
        draft: Draft,
        engine: &Engine,
        proxy: &Proxy,
        previous: Option<&Self>,
    ) -> Result<Self, ConfigErrors> {
        let Draft {
            config,
            mut errors,
            digests,
            guarded,
            lock,
            unpinned,
            ..
        } = draft;
        let previous = Previous::new(previous, &digests);
        let (acceptors, found) = acceptors::start(&config.negotiate, previous).await;
        errors.extend(found);
        let configured = &config.plugin_entries;
        let registries = config.registries.registries(config.plugins.pulling());
        let remote = Remote::new(registries, lock, unpinned);
        let before = previous.plugins();
        let components = components::load(configured, &remote, engine, before).await;
        let routes = config.routes.iter();
        let asked = routes.flat_map(|route| route.access.authenticators().iter().chain(&route.authorizers));
        let asked: HashSet<&str> = asked.map(String::as_str).collect();
        let negotiators = acceptors.iter();
        let negotiators = negotiators.map(|(name, acceptor)| (name.clone(), Arc::new(acceptor.clone()) as _));
        let inputs = Inputs {
            configured,
            digests: previous.next(),
            negotiators: &negotiators.collect(),
            // Without it, it isn't known whom such a route may let in.
            is_asked: &|name| asked.contains(name),
            previous: before,
        };
        let loaded = PluginSet::load(inputs, components.loaded).await;
        errors.extend(loaded.errors);
        let mut warnings = components.warnings;
        warnings.extend(loaded.warnings.into_iter().map(Warning::Plugin));
        warnings.extend(Warning::of_permissions(&guarded));
        if !errors.is_empty() {
            errors.extend(warnings.iter().filter_map(Warning::disabling).cloned());
            return Err(ConfigErrors::new(errors));
        }
        let alone = |error| ConfigErrors::new(vec![error]);
        let keys = keys(&config).map_err(alone)?;
        let parts = Parts {
            plugins: loaded.set,
            warnings,
            acceptors,
            engine,
            shared: shared(&config, &keys, previous).await.map_err(alone)?,
            keys,
        };
        let assembled = Self::assemble(config, parts, proxy, previous);
        assembled.map_err(alone)
    }

    /// Returns the route of a request. `authority` is the host that the client asked for; a port is ignored.
    ///
    /// A route that lists the host wins over a route for a wildcard, and that over a route for every host; then the
    /// longest path wins, and then a route that lists the method.
    pub(crate) fn route(&self, authority: Option<&str>, path: &CanonicalPath, method: &Method) -> Option<&Arc<Route>> {
        self.table.find(authority, path, method)
    }

    /// The methods with which a path is served. `None` if no route serves it.
    pub(crate) fn methods_of(&self, authority: Option<&str>, path: &CanonicalPath) -> Option<Methods> {
        self.table.methods_of(authority, path)
    }

    /// Whether any route serves this host. A port is ignored.
    pub(crate) fn serves_host(&self, authority: &str) -> bool {
        self.table.serves_host(authority)
    }

    /// The routes, in the order of the configuration.
    pub(crate) fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// What is allowed but may not be meant.
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Why authenticators are disabled, one sentence for each.
    pub(crate) fn disabled(&self) -> Vec<String> {
        let disabled = self.warnings.iter();
        let disabled = disabled.filter(|warning| warning.disabling().is_some());
        disabled.map(ToString::to_string).collect()
    }

    /// Whether an authenticator is disabled whose component comes from a registry, so that another attempt may help.
    pub(crate) fn waits_for_registry(&self) -> bool {
        let mut loaded = self.plugins.iter();
        loaded.any(|loaded| loaded.is_remote && loaded.plugin.why_disabled().is_some())
    }

    /// The authenticators, sorted by name.
    pub(crate) fn authenticators(&self) -> impl Iterator<Item = &Authenticator> {
        self.plugins.iter().filter_map(|loaded| loaded.plugin.authenticator())
    }

    /// The authorizers, sorted by name.
    pub(crate) fn authorizers(&self) -> impl Iterator<Item = &Authorizer> {
        self.plugins.iter().filter_map(|loaded| loaded.plugin.authorizer())
    }

    /// The authenticators and authorizers, sorted by name.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().map(|loaded| &*loaded.plugin)
    }

    /// The digests of the values of the configuration.
    pub(crate) fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The headers of the plugins' requests whose secrets are in files.
    pub(crate) fn rotating_headers(&self) -> Vec<RotatingHeader> {
        self.plugins.rotating_headers()
    }

    /// Has its settings in what all generations of the process share.
    pub(crate) fn take_effect(&self) {
        match &self.shared {
            Some(shared) => shared.apply(&self.engine),
            None => self.engine.share(None),
        }
        if let (Some(ended), Some(ending)) = (&self.ended, &self.ending) {
            let plugins = self.plugins().cloned().collect();
            ended.apply(ending, self.sessions.as_ref(), plugins, &self.engine);
        }
    }

    /// Waits until this gateway knows which sessions other gateways have ended, or for a few seconds. Call this before the first
    /// generation serves requests.
    pub(crate) async fn listened(&self) {
        if let Some(ended) = &self.ended {
            ended.listened().await;
        }
    }

    /// Waits until what must outlast the process is written down.
    pub(crate) async fn written(&self) {
        if let Some(ended) = &self.ended {
            ended.written().await;
        }
    }

    /// Tells the plugins that aren't a part of the next generation that they were replaced.
    pub(crate) fn retire(&self, next: &Self) {
        self.plugins.retire(&next.plugins);
    }

    /// Opens and clears session cookies. `None` if sessions are disabled.
    pub(crate) fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.as_ref()
    }

    /// The keys of sessions, from which others are derived. The first one is in use. Empty if nothing needs one.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Signs the assertions of all routes. `None` if no route sends any.
    pub(crate) fn assertions(&self) -> Option<&Assertions> {
        self.assertions.as_deref()
    }

    /// The logins that browsers are offered. `None` if there are none.
    pub(crate) fn logins(&self) -> Option<&Logins> {
        self.logins.as_ref()
    }

    /// The gate with all authenticators, for a session that isn't one of a route.
    pub(crate) fn everybody(&self) -> &Gate {
        &self.everybody
    }

    /// The identity headers of all routes, without duplicates. They are removed from every request of a client.
    pub(crate) fn identity_headers(&self) -> &[HeaderName] {
        &self.identity_headers
    }

    /// The names of the identity headers, in every spelling. They are removed from every request of a client.
    pub(crate) fn identity_names(&self) -> &IdentityNames {
        &self.identity_names
    }

    /// The trailer fields that are removed from every request of a client.
    pub(crate) fn trailers(&self) -> &Arc<ForbiddenTrailers> {
        &self.trailers
    }

    /// The name of the session cookie. `None` if sessions are disabled.
    pub(crate) fn session_cookie(&self) -> Option<&str> {
        self.sessions().map(|sessions| sessions.cookie_name())
    }

    /// The settings of the listeners.
    pub(crate) fn listen(&self) -> &ListenConfig {
        &self.listen
    }

    /// The peers whose `X-Forwarded-*` headers are believed.
    pub(crate) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.listen.server.trusted_proxies
    }

    /// The client that sent a request with these headers over a connection of this peer.
    pub(crate) fn client(&self, peer: Peer, scheme: Scheme, headers: &HeaderMap) -> Client {
        Client::of(peer, scheme, headers, self.trusted_proxies())
    }

    /// The value of `Strict-Transport-Security`. `None` if the header isn't sent.
    pub(crate) fn hsts(&self) -> Option<&HeaderValue> {
        self.listen.server.hsts.as_ref()
    }

    /// How long the body of a request may pause.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.listen.server.bounds.body_timeout
    }

    fn assemble(config: Config, parts: Parts<'_>, proxy: &Proxy, previous: Previous<'_>) -> Result<Self, ConfigError> {
        let Parts {
            plugins,
            warnings,
            acceptors,
            engine,
            keys,
            shared,
        } = parts;
        let listen = config.listen();
        let ending = ending(&config, shared.as_ref(), proxy);
        let begin = |ending: &Ending| Arc::new(EndedSessions::begin(ending.most, ending.max_age, &config.state));
        let ended = previous.ended_sessions();
        let ended = ended.or_else(|| ending.as_ref().map(begin));
        let (sessions, flows) = sessions(&config, &keys, ended.as_deref(), previous.sessions())?.unzip();
        let assertions =
            sends_assertions(&config).then(|| Arc::new(Assertions::new(config.assertion.clone(), keys.clone())));
        let logins = match (&config.login, flows) {
            (Some(login), Some(flows)) => {
                let logins = Logins::new(login.clone(), flows, &config.plugin_entries, &plugins)?;
                Some(logins).filter(|logins| logins.iter().next().is_some())
            }
            _ => None,
        };
        let everybody = plugins.iter().filter_map(|loaded| loaded.plugin.authenticator());
        let everybody = Gate::new(Chain::new(everybody.cloned()), sessions.clone());
        let mut names = Vec::from_iter(config.routes.iter().flat_map(|route| route.identity.names()).cloned());
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let mut routes = Vec::with_capacity(config.routes.len());
        let mut upstreams = HashMap::new();
        for (index, route) in config.routes.into_iter().enumerate() {
            let upstream = route.upstream.as_ref().map(|upstream| match upstream {
                Upstream::Http(config) => {
                    let upstream = upstreams.entry(config.name.clone());
                    let kept = || previous.upstream(&config.name);
                    let upstream = upstream.or_insert_with(|| kept().unwrap_or_else(|| proxy.start(config)));
                    Destination::Upstream(Arc::clone(upstream))
                }
                Upstream::WhoAmI => Destination::WhoAmI,
            });
            let digest = Route::digest(&route, index, previous.next());
            let of_sessions = OfSessions {
                sessions: sessions.as_ref(),
                logins: logins.as_ref(),
                assertions: assertions.as_ref(),
            };
            let built = Route::new(route, digest, &plugins, of_sessions, upstream)?;
            routes.push(Arc::new(built));
        }
        let widenings = AccessWidening::among(&routes).into_iter().map(Warning::Widening);
        let warnings = warnings
            .into_iter()
            .chain(widenings)
            .chain(Warning::of_paths(&routes))
            .chain(Warning::of_methods(&routes));
        let warnings = warnings.collect();
        let table = RouteTable::new(routes.iter().map(|route| (&route.config.matcher, Arc::clone(route))));
        let identity_names = IdentityNames::new(&names);
        let credentials = routes.iter().flat_map(|route| &route.credentials.headers);
        let trailers = ForbiddenTrailers::new(identity_names.clone(), credentials);
        Ok(Self {
            digests: previous.next().clone(),
            table,
            warnings,
            routes,
            plugins,
            acceptors,
            upstreams,
            keys,
            sessions,
            shared,
            engine: engine.clone(),
            assertions,
            ended,
            ending,
            logins,
            everybody,
            identity_names,
            trailers: Arc::new(trailers),
            identity_headers: names,
            listen,
        })
    }
}

#[cfg(test)]
mod tests;
