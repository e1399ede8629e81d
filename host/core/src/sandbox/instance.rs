//! The life of an instance: it is started, configured, called for one request and dropped. Requests never share a
//! plugin's memory, unless the operator wants instances kept: see `renewal`.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::WasiHttpCtx;

use super::HostState;
use super::budget::Share;
use super::clock::Clock;
use super::config::InstanceConfig;
use super::config::Runtime;
use super::error::PluginError;
use super::exports::Export;
use super::exports::Plugin;
use super::exports::PluginPre;
use super::memory_limiter::MemoryLimiter;
use super::negotiate::MAX_TOKENS;
use super::scheduler::ComputePermit;
use super::signing::MAX_SIGNATURES;
use super::snapshot::NoSnapshot;
use crate::decision::AttributeRead;
use crate::egress::CallEgress;
use crate::plugin_log::LogLines;
use crate::shared::Patience;

/// The most bytes that a plugin may pass to the host in one call, its answer included: the body of a request to another
/// server, which may have 1 MiB, and its headers. Texts count slightly more than their size.
const MAX_HANDED_OVER: usize = (1 << 20) + (128 << 10);

/// The most resource handles of an instance: as many as the requests that it may send need at the same time, with ten to
/// twelve for each. Each may keep as much of the host's memory as a message's headers, which the limit of the plugin's own
/// memory doesn't include.
const MAX_HANDLES: usize = 1024;

/// The most header bytes of one outbound message, as the host counts them.
const MAX_FIELDS: usize = 32 << 10;

/// An instance's answer, or how it failed, and what it read before that.
pub(crate) struct Reply<A> {
    pub(crate) result: Result<A, PluginError>,
    pub(crate) reads: Vec<AttributeRead>,
    /// How many requests to other servers were denied, because no grant covers them.
    pub(crate) denied: u32,
    /// The lines of the level WARN and above that it and the host wrote about the call.
    pub(crate) warnings: Vec<String>,
    /// Whether it drew random numbers.
    pub(crate) drew_random: bool,
    /// How many bytes of memory it had at the end.
    pub(crate) memory: usize,
}

impl<A> Reply<A> {
    /// The reply of an instance that could not be called.
    pub(crate) const fn failure(error: PluginError) -> Self {
        Self {
            result: Err(error),
            reads: Vec::new(),
            denied: 0,
            warnings: Vec::new(),
            drew_random: false,
            memory: 0,
        }
    }
}

/// An instance of a plugin in its sandbox.
pub(crate) struct Instance {
    pub(super) store: Store<HostState>,
    plugin: Plugin,
    /// How many bytes of memory it had before its first request.
    pub(super) initial_memory: usize,
}

impl Instance {
    /// Starts an instance, which is not configured yet. Its deadline starts now.
    pub(crate) async fn start(
        runtime: &Runtime,
        plugin: &PluginPre,
        config: &InstanceConfig,
    ) -> Result<Self, PluginError> {
        let mut store = store(runtime, config);
        match plugin.start(&mut store).await {
            Ok(plugin) => Ok(Self {
                initial_memory: store.data().limiter.taken(),
                store,
                plugin,
            }),
            Err(error) => Err(stopped(&store, error)),
        }
    }

    /// Passes the settings to the plugin. The inner error is the plugin's message about them.
    pub(crate) async fn configure(&mut self, settings: &str) -> Result<Result<(), String>, PluginError> {
        let answer = self.plugin.plugin().call_configure(&mut self.store, settings).await;
        self.initial_memory = self.store.data().limiter.taken();
        answer.map_err(|error| stopped(&self.store, error))
    }

    /// Returns an error if there can't be copies of it as it is now.
    pub(crate) fn can_be_copied(&self) -> Result<(), NoSnapshot> {
        self.store.data().can_be_copied()
    }

    /// Calls a function of one of its roles.
    pub(crate) async fn ask<X: Export>(&mut self, export: X) -> Reply<X::Answer> {
        let state = self.store.data_mut();
        state.log.set_request(export.id());
        state.request = export.request();
        let result = export.call(&self.plugin, &mut self.store).await;
        let result = result.map_err(|error| stopped(&self.store, error));
        let state = self.store.data_mut();
        state.request = None;
        if result.is_ok() {
            state.permit.learn();
        }
        Reply {
            result,
            reads: std::mem::take(&mut state.reads),
            denied: state.outbound.denied(),
            warnings: state.log.warnings(),
            drew_random: state.drew_random,
            memory: state.limiter.taken(),
        }
    }

    /// Calls a plugin for the schema of its settings, in an instance without grants that may use this much memory and time.
    pub(crate) async fn settings_schema(
        runtime: &Runtime,
        plugin: &PluginPre,
        memory: usize,
        deadline: Duration,
    ) -> Result<String, PluginError> {
        let config = InstanceConfig::for_schema(runtime, memory, deadline);
        let mut instance = Self::start(runtime, plugin, &config).await?;
        let schema = instance.plugin.plugin().call_settings_schema(&mut instance.store).await;
        schema.map_err(|error| stopped(&instance.store, error))
    }
}

/// The store for one instance. Its deadline starts now.
pub(super) fn store(runtime: &Runtime, config: &InstanceConfig) -> Store<HostState> {
    let clock = Clock::start(config.limits.deadline);
    let permit = ComputePermit::start(&config.processors, clock.deadline());
    let mut store = Store::new(&runtime.wasmtime, HostState::new(runtime, config, clock, permit));
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(MAX_HANDED_OVER);
    store.set_max_component_handles(MAX_HANDLES);
    clock.watch(&mut store);
    store
}

/// Why a call ended. A plugin that gets no memory usually aborts, so that the trap alone would hide the cause.
pub(super) fn stopped(store: &Store<HostState>, error: wasmtime::Error) -> PluginError {
    tracing::debug!(
        target: "portcullis::plugin",
        authenticator = store.data().log.name().authenticator(),
        authorizer = store.data().log.name().authorizer(),
        "the call ended: {error:?}"
    );
    let limiter = &store.data().limiter;
    match PluginError::trap(error) {
        PluginError::Trap(_) if limiter.hit_budget() => PluginError::Memory,
        PluginError::Trap(_) if limiter.hit_system() => PluginError::NoAddressSpace,
        PluginError::Trap(why) => {
            let memory = if limiter.hit_memory() {
                "; before, it was refused more memory (limits.memory)"
            } else {
                ""
            };
            let words = store.data().log.words();
            let words = words.map(|words| format!("; it said: {words}")).unwrap_or_default();
            PluginError::Trap(format!("{why}{memory}{words}"))
        }
        error => error,
    }
}

impl HostState {
    fn new(runtime: &Runtime, config: &InstanceConfig, clock: Clock, permit: ComputePermit) -> Self {
        let log = LogLines::new(config.name.clone(), config.log_level);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS);
        Self {
            limiter: MemoryLimiter::new(config.limits.memory, Share::of(Arc::clone(&runtime.memory))),
            table,
            wasi: None,
            http,
            outbound: CallEgress::new(config.egress.clone(), log.clone()),
            clock,
            permit,
            log,
            grants: Arc::clone(&config.grants),
            keys: Arc::clone(&runtime.keys),
            memory: Arc::clone(&runtime.memory),
            cache: config.cache.clone(),
            patience: Patience::default(),
            negotiator: config.negotiator.clone(),
            tokens_left: MAX_TOKENS,
            signing_keys: Arc::clone(&config.signing_keys),
            signatures_left: MAX_SIGNATURES,
            request: None,
            reads: Vec::new(),
            drew_random: false,
            unrepeatable: None,
        }
    }
}
