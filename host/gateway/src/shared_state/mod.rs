//! The state that this gateway shares with others: its connection to Redis or Valkey, and the log from which it learns what others have
//! revoked.

mod certainty;
mod follow;

use std::sync::Arc;
use std::time::Duration;

use metrics::describe_gauge;
use portcullis::Engine;
use portcullis::session::Key;
use portcullis::session::KeyError;
use portcullis::session::SealedStore;
use portcullis::shared::SharedState;
use portcullis_redis::RedisStore;

use crate::config::SharedStateConfig;

pub(crate) use follow::Followed;

/// A shared state in use. Generations with the same configuration have the same one.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Arc<SharedState>,
    keys: Vec<Key>,
    /// For how long what was revoked elsewhere may be unknown.
    pub(crate) stale_revocations: Duration,
}

impl Shared {
    /// Connects, or goes on without after a second. Everything is sealed with these keys.
    ///
    /// # Errors
    ///
    /// Returns why there can't be a connection with these settings, whether the server answers or not.
    pub(crate) async fn connect(config: &SharedStateConfig, keys: &[Key]) -> Result<Self, String> {
        describe();
        let store = RedisStore::connect(config.access.clone()).map_err(|error| error.to_string())?;
        // Whether there is a connection then or later, what is asked before it fails at once.
        store.connected(CONNECTED).await;
        let sealed = SealedStore::new(store, keys).map_err(|error: KeyError| error.to_string())?;
        Ok(Self {
            state: SharedState::new(Arc::new(sealed), config.options),
            keys: keys.to_vec(),
            stale_revocations: config.stale_revocations,
        })
    }

    /// Whether it is sealed with these keys.
    pub(crate) fn has_keys(&self, keys: &[Key]) -> bool {
        let own = self.keys.iter().map(Key::as_bytes);
        own.eq(keys.iter().map(Key::as_bytes))
    }

    /// Lets the plugins of an engine share it.
    pub(crate) fn apply(&self, engine: &Engine) {
        engine.share(Some(Arc::clone(&self.state)));
    }
}

fn describe() {
    describe_gauge!(
        UNCERTAIN,
        "1 while no session is accepted, because the shared state has been lost for too long to know which were ended"
    );
}

/// How long the start of the gateway waits for a connection.
const CONNECTED: Duration = Duration::from_secs(1);

/// Whether no session is accepted for now: 1 or 0.
pub(crate) const UNCERTAIN: &str = "portcullis_sessions_uncertain";
