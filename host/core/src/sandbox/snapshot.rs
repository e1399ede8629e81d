//! A configured instance as a component of its own, whose instances are configured from the start. This is possible if
//! `configure` used nothing that a copy would not have, and nothing that must differ from copy to copy.

use wasmtime::Store;
use wasmtime::component;
use wasmtime::component::InstancePre;
use wasmtime::component::Lift;
use wasmtime::component::WasmList;
use wasmtime_wizer::ComponentContext;
use wasmtime_wizer::ComponentInstanceState;
use wasmtime_wizer::Wizer;

use super::HostState;
use super::budget::Share;
use super::config::InstanceConfig;
use super::config::Runtime;
use super::error::PluginError;
use super::instance::stopped;
use super::instance::store;
use crate::contract::exports::portcullis::auth::plugin::GuestIndices;

/// Why a configured instance has no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSnapshot {
    /// A copy would have a handle that the host doesn't know.
    #[error("its function configure keeps a handle")]
    KeepsHandle,
    /// The plugin failed, here but not without the instruments that read its state.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// It refuses settings that it accepted before.
    #[error("its function configure does not give the same answer twice")]
    Rejected,
    /// The engine keeps as many as it may.
    #[error("there is no memory left for snapshots: they may take a quarter of the memory for plugins")]
    TooLarge,
    /// Its code does something whose result can't be read.
    #[error("its code can't be copied: {0}")]
    Unsupported(String),
    /// It used something that differs from call to call, or that a copy of it would not have.
    #[error("its function configure uses {0}")]
    Used(&'static str),
}

impl NoSnapshot {
    pub(crate) fn unsupported(error: &wasmtime::Error) -> Self {
        Self::Unsupported(format!("{error:#}"))
    }
}

impl HostState {
    /// Returns an error if a copy of the instance would differ from an instance that comes to the same state by itself.
    pub(super) fn can_be_copied(&self) -> Result<(), NoSnapshot> {
        match self.unrepeatable {
            Some(used) => Err(NoSnapshot::Used(used)),
            None if self.table.is_empty() => Ok(()),
            None => Err(NoSnapshot::KeepsHandle),
        }
    }
}

/// What the instruments may need beyond the plugin's own memory, in bytes.
const ROOM: usize = 1 << 20;

/// How many times the state is in memory while the snapshot is made: as it is, as data of WebAssembly, and compiled.
const COPIES: usize = 4;

/// Configures an instance of the instrumented component, and returns the component whose instances begin in the state
/// that it is in then. `working` is its part of the memory for snapshots while it is made.
pub(crate) async fn snapshot(
    runtime: &Runtime,
    (wizer, context): (&Wizer, &ComponentContext<'_>),
    instrumented: &InstancePre<HostState>,
    mut config: InstanceConfig,
    settings: &str,
    working: &mut Share,
) -> Result<Vec<u8>, NoSnapshot> {
    config.limits.memory = config.limits.memory.saturating_add(ROOM);
    let mut store = store(runtime, &config);
    // The whole memory is handed over at once.
    store.set_hostcall_fuel(config.limits.memory);
    let instance = instrumented.instantiate_async(&mut store).await;
    let instance = instance.map_err(|error| stopped(&store, error))?;
    let plugin = GuestIndices::new(instrumented).and_then(|places| places.load(&mut store, &instance));
    let plugin = plugin.map_err(|error| stopped(&store, error))?;
    let configured = plugin.call_configure(&mut store, settings).await;
    configured
        .map_err(|error| stopped(&store, error))?
        .map_err(|_| NoSnapshot::Rejected)?;
    store.data().can_be_copied()?;
    let limiter = &store.data().limiter;
    let used = config.limits.memory.saturating_sub(limiter.left());
    if limiter.hit_memory() || !working.take(COPIES.saturating_mul(used)) {
        return Err(NoSnapshot::TooLarge);
    }
    let mut state = State {
        store,
        instance,
        failed: None,
    };
    let wasm = wizer.snapshot_component(context, &mut state).await;
    match state.failed {
        Some(error) => Err(stopped(&state.store, error).into()),
        None => wasm.map_err(|error| NoSnapshot::unsupported(&error)),
    }
}

/// Reads the state of an instance with the functions that Wizer adds to its component. They can't return errors, so the
/// first one is kept, and what was read is worth nothing then.
struct State {
    store: Store<HostState>,
    instance: component::Instance,
    failed: Option<wasmtime::Error>,
}

impl State {
    async fn call<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> Option<R> {
        if self.failed.is_some() {
            return None;
        }
        let read = self.try_call(interface, function).await;
        read.map_err(|error| self.failed = Some(error)).ok()
    }

    async fn try_call<R: Lift + Send + Sync + 'static>(
        &mut self,
        interface: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || wasmtime::format_err!("the instrumented component doesn't export {function}");
        let interface = self.instance.get_export_index(&mut self.store, None, interface);
        let interface = interface.ok_or_else(missing)?;
        let export = self
            .instance
            .get_export_index(&mut self.store, Some(&interface), function);
        let function = export.ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut self.store, function)?;
        Ok(function.call_async(&mut self.store, ()).await?.0)
    }
}

impl ComponentInstanceState for State {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.call::<WasmList<u8>>(instance, func).await {
            Some(bytes) => contents(bytes.as_le_slice(&self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).await.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).await.unwrap_or_default().to_bits()
    }
}
