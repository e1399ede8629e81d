//! The sessions of a generation, the keys of all that gateways with the same keys share, and the state that they share.

use std::sync::Arc;

use portcullis::session::Flows;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::SameSitePolicy;
use portcullis::session::Sessions;

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Location;
use crate::config::LoginConfig;
use crate::config::SessionConfig;
use crate::generation::previous::Previous;
use crate::proxy::Proxy;
use crate::sessions::EndedSessions;
use crate::sessions::Ending;
use crate::sessions::kept_key;
use crate::shared_state::Shared;

/// Whether a route sends assertions.
pub(super) fn sends_assertions(config: &Config) -> bool {
    config.routes.iter().any(|route| route.identity.assertion.is_some())
}

/// The keys of sessions, of assertions and of tickets, of which the first one is in use. Empty if nothing needs one.
pub(super) fn keys(config: &Config) -> Result<Vec<Key>, ConfigError> {
    let shares_tickets = config.listen().tls().any(|tls| tls.shared_tickets);
    let seals = config
        .shared_state
        .as_ref()
        .is_some_and(|shared| shared.keys.is_empty());
    if config.session.is_none() && !sends_assertions(config) && !shares_tickets && !seals {
        return Ok(Vec::new());
    }
    let configured = config
        .session
        .as_ref()
        .map(|session| session.keys.clone())
        .unwrap_or_default();
    if !configured.is_empty() {
        return Ok(configured);
    }
    if seals {
        return Err(Location::file("shared_state").error(
            "all gateways need the same keys to share state: set session.keys, or keys here, to what `portcullis keygen` makes",
        ));
    }
    let kept = kept_key(config.state.folder.as_deref(), config.state.is_kept);
    Ok(vec![kept.map_err(|why| Location::file("session").error(why))?])
}

/// The sessions, and the attempts to log in, whose cookies have the same keys. `None` if there are none.
pub(super) fn sessions(
    config: &Config,
    keys: &[Key],
    ended: Option<&EndedSessions>,
    before: Option<&Sessions>,
) -> Result<Option<(Arc<Sessions>, Flows)>, ConfigError> {
    let Some(session) = &config.session else {
        return Ok(None);
    };
    let error = |message: &str| Location::file("session").error(message);
    // Over plain HTTP, browsers accept a secure cookie only from their own machine, and some don't accept it even then.
    let of_login = config.login.as_ref().and_then(LoginConfig::is_secure);
    let secure = session
        .secure
        .or(of_login)
        .unwrap_or_else(|| !config.server.listen.is_loopback());
    let needs_secure = session.partitioned || session.same_site == SameSitePolicy::None;
    if needs_secure && !secure {
        return Err(error(
            "partitioned and same_site = \"none\" need a secure cookie: set secure = true if browsers use https",
        ));
    }
    let options =
        Options::new(&session.cookie, secure, session.max_age).ok_or_else(|| error("the cookie has no usable name"))?;
    let mut options = options.same_site(session.same_site);
    if let Some(domain) = &session.domain {
        options = options.domain(domain);
    }
    if session.partitioned {
        options = options.partitioned();
    }
    if let Some(idle) = session.idle {
        options = options.idle(idle);
    }
    let keys = KeyRing::new(keys.iter().cloned()).map_err(|problem| error(&problem.to_string()))?;
    let keys = Arc::new(keys);
    let mut sessions = Sessions::new(Arc::clone(&keys), options);
    if let Some(ended) = ended {
        sessions = sessions.with_revocations(Arc::clone(ended.list()));
    }
    if let Some(before) = before {
        sessions = sessions.with_renewals_of(before);
    }
    let sessions = match session.outlive_changes {
        true => sessions.outlive_changes(),
        false => sessions,
    };
    Ok(Some((Arc::new(sessions), Flows::new(keys, secure))))
}

/// What is shared with other gateways. `None` if nothing is, and for commands that only examine the configuration.
pub(super) async fn shared(
    config: &Config,
    keys: &[Key],
    previous: Previous<'_>,
) -> Result<Option<Arc<Shared>>, ConfigError> {
    let Some(shared) = config.shared_state.as_ref().filter(|_| config.state.is_kept) else {
        return Ok(None);
    };
    let keys = if shared.keys.is_empty() { keys } else { &shared.keys };
    if let Some(same) = previous.shared().filter(|same| same.has_keys(keys)) {
        return Ok(Some(same));
    }
    let connected = Shared::connect(shared, keys).await;
    let connected = connected.map_err(|why| Location::file("shared_state").error(why))?;
    Ok(Some(Arc::new(connected)))
}

/// What the configuration says of sessions that are over. `None` if there are no sessions, and nothing is shared.
pub(super) fn ending(config: &Config, shared: Option<&Arc<Shared>>, proxy: &Proxy) -> Option<Ending> {
    let session = config.session.as_ref();
    if session.is_none() && shared.is_none() {
        return None;
    }
    let peers = session.into_iter().flat_map(|session| &session.peers);
    Some(Ending {
        most: session.map_or(SessionConfig::DEFAULT_REVOCATIONS, |session| session.revocations),
        max_age: session.map_or(SessionConfig::DEFAULT_AGE, |session| session.max_age),
        peers: peers.map(|peer| proxy.start(peer)).collect(),
        shared: shared.cloned(),
    })
}
