//! The inputs of an instance: what all instances of an engine share, and the configuration of one plugin.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::cache::Cache;
use super::crypto::Keys;
use super::scheduler::FairScheduler;
use super::scheduler::ProcessorShare;
use crate::egress::Egress;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::negotiate::Negotiator;
use crate::role::PluginName;
use crate::role::Role;
use crate::shared::SharedPlace;
use crate::signing::SigningKeys;

/// What all instances of an engine share: the compiler, the processors, the memory, public keys, and what it shares
/// with other processes.
pub(crate) struct Runtime {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) scheduler: FairScheduler,
    pub(crate) memory: Arc<Budget>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) shared: SharedPlace,
}

/// The configuration of a plugin's instances, apart from the component and the settings.
#[derive(Clone)]
pub(crate) struct InstanceConfig {
    pub(crate) name: PluginName,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    /// `None` for an instance that is only called for its schema.
    pub(crate) cache: Option<Arc<Cache>>,
    /// The least severe level of its log lines. `None` if only the application's log decides.
    pub(crate) log_level: Option<tracing::Level>,
    /// Its share of the processors.
    pub(crate) processors: ProcessorShare,
    /// Sends its requests to other servers.
    pub(crate) egress: Egress,
    /// Accepts the tokens for the acceptor that `grants.negotiate` names. `None` if the application has no such
    /// acceptor.
    pub(crate) negotiator: Option<Arc<dyn Negotiator>>,
    /// The keys that it may sign with, as far as `grants.signing` names them.
    pub(crate) signing_keys: Arc<SigningKeys>,
}

impl InstanceConfig {
    /// The configuration of an instance that is only called for its schema: it reads and reaches nothing. It may use this
    /// much memory, in bytes, and this much time.
    pub(super) fn for_schema(runtime: &Runtime, memory: usize, deadline: Duration) -> Self {
        let grants = Arc::new(Grants {
            headers: Vec::new(),
            ..Grants::default()
        });
        let limits = Limits {
            deadline,
            memory,
            ..Limits::default()
        };
        Self {
            name: PluginName::new("settings-schema", Role::Authenticator),
            grants,
            limits,
            cache: None,
            log_level: None,
            processors: runtime.scheduler.share(),
            egress: Egress::closed(),
            negotiator: None,
            signing_keys: Arc::default(),
        }
    }
}
