//! What sessions need beside their cookies: the key that nobody has configured, and the list of sessions that are over, which
//! outlasts a restart and is told to other gateways.

mod file;
mod key;
mod peers;
mod saved;

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use portcullis::Engine;
use portcullis::Plugin;
use portcullis::session::OperatorRevocations;
use portcullis::session::Revocation;
use portcullis::session::RevocationSink;
use portcullis::session::Revocations;
use portcullis::session::Sessions;

use self::peers::Peers;
use self::saved::Saved;
use crate::config::StateConfig;
use crate::proxy::UpstreamGroup;
use crate::shared_state::Followed;
use crate::shared_state::Shared;

pub(crate) use self::key::kept_key;
pub(crate) use self::peers::PATH as REVOCATIONS_PATH;

/// The sessions of a process that are over. All generations share it.
#[derive(Debug)]
pub(crate) struct EndedSessions {
    list: Arc<Revocations>,
    peers: Arc<Peers>,
    followed: Arc<Followed>,
    /// `None` if nothing of it is kept.
    saved: Option<Saved>,
    /// The plugins in use. They forget decisions when an operator revokes something.
    plugins: Arc<Mutex<Vec<Plugin>>>,
    /// Whether the process serves. Others only examine a configuration.
    serves: bool,
}

/// What a configuration says of sessions that are over.
#[derive(Debug)]
pub(crate) struct Ending {
    /// How many of them are known at most.
    pub(crate) most: usize,
    /// How old a session can become.
    pub(crate) max_age: Duration,
    /// The gateways that are told.
    pub(crate) peers: Vec<Arc<UpstreamGroup>>,
    /// The state by which gateways tell each other. `None` if they share none.
    pub(crate) shared: Option<Arc<Shared>>,
}

/// Is told of each session that is ended in this process.
struct Sink {
    saved: Option<Saved>,
    peers: Arc<Peers>,
    followed: Arc<Followed>,
}

impl EndedSessions {
    /// The list of this process. What the state folder has of an earlier one is read, unless this command keeps nothing.
    pub(crate) fn begin(most: usize, max_age: Duration, state: &StateConfig) -> Self {
        let new = || Revocations::new(most, max_age);
        let peers = Arc::new(Peers::default());
        let followed = Arc::<Followed>::default();
        let plugins = Arc::<Mutex<Vec<Plugin>>>::default();
        if !state.is_kept {
            return Self {
                list: Arc::new(new()),
                peers,
                followed,
                saved: None,
                plugins,
                serves: false,
            };
        }
        let saved = state.folder.as_deref().and_then(saved);
        let sink = Sink {
            saved: saved.clone(),
            peers: Arc::clone(&peers),
            followed: Arc::clone(&followed),
        };
        let list = Arc::new(new().with_sink(sink));
        tokio::spawn(forget_decisions(list.operator_revocations(), Arc::clone(&plugins)));
        if let Some(saved) = &saved {
            saved.begin(Arc::clone(&list));
        }
        Self {
            list,
            peers,
            followed,
            saved,
            plugins,
            serves: true,
        }
    }

    /// The list.
    pub(crate) fn list(&self) -> &Arc<Revocations> {
        &self.list
    }

    /// Waits until everything is written down, or has failed to be.
    pub(crate) async fn written(&self) {
        if let Some(saved) = &self.saved {
            saved.written().await;
        }
    }

    /// Waits until it is known what other gateways have ended, or for a few seconds.
    pub(crate) async fn listened(&self) {
        self.followed.listened().await;
    }

    /// Goes by another configuration from now on, which has these plugins of this engine. Messages to its gateways are sealed by
    /// these sessions.
    pub(crate) fn apply(
        &self,
        ending: &Ending,
        sessions: Option<&Arc<Sessions>>,
        plugins: Vec<Plugin>,
        engine: &Engine,
    ) {
        self.list.set_bounds(ending.most, ending.max_age);
        *self.plugins.lock().unwrap_or_else(PoisonError::into_inner) = plugins;
        if !self.serves {
            return;
        }
        if let Some(sessions) = sessions {
            self.peers.apply(&ending.peers, &self.list, sessions);
        }
        self.followed.apply(ending.shared.as_ref(), &self.list, engine);
    }
}

/// Lets the plugins forget decisions whenever an operator has revoked something, also through another gateway.
async fn forget_decisions(mut orders: OperatorRevocations, plugins: Arc<Mutex<Vec<Plugin>>>) {
    loop {
        orders.next().await;
        let plugins = plugins.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plugins.iter().for_each(Plugin::forget_decisions);
    }
}

fn saved(folder: &Path) -> Option<Saved> {
    key::make(folder)
        .inspect_err(|why| {
            tracing::warn!(
                why,
                "sessions that are ended early are valid again after a restart: set state to a folder for that"
            );
        })
        .ok()?;
    Some(Saved::new(folder))
}

impl RevocationSink for Sink {
    fn revoked(&self, revocation: Revocation) {
        if let Some(saved) = &self.saved {
            saved.add(revocation);
        }
        self.peers.tell(revocation);
        self.followed.tell(revocation);
    }

    fn heard(&self, revocation: Revocation) {
        // Who told it tells the other gateways, too.
        if let Some(saved) = &self.saved {
            saved.add(revocation);
        }
    }
}
