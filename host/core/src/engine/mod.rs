//! The compiler and the pool of sandboxes, which all plugins of a process share. Plugins can't observe what is shared.

mod background;
mod cache;
mod draft;
mod ticker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Config;
use wasmtime::Enabled;
use wasmtime::InstanceAllocationStrategy;
use wasmtime::OptLevel;
use wasmtime::PoolingAllocationConfig;
use wasmtime::component::Linker;

use self::background::Background;
use self::cache::CompileCache;
use self::ticker::Ticker;
use crate::cookies::ReservedCookies;
use crate::egress::OutboundProxy;
use crate::limits::Limits;
use crate::reuse::Store;
use crate::sandbox;
use crate::sandbox::Budget;
use crate::sandbox::FairScheduler;
use crate::sandbox::HostState;
use crate::sandbox::Keys;
use crate::sandbox::Runtime;
use crate::shared::SharedPlace;
use crate::shared::SharedState;

pub(crate) use self::cache::Code;
pub use self::cache::UnusableCache;
pub(crate) use self::cache::path_of_code;
pub(crate) use self::draft::Draft;

/// Compiles components and runs them. Use one engine for the whole process; a clone is the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) runtime: Runtime,
    pub(crate) linker: Linker<HostState>,
    pub(crate) calls: Arc<Semaphore>,
    /// The plugins that may be configured at the same time, besides the calls.
    pub(crate) configuring: Arc<Semaphore>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) proxy: Option<OutboundProxy>,
    pub(crate) cache: Option<CompileCache>,
    pub(crate) decisions: Arc<Store>,
    pub(crate) background: Background,
    /// The memory for snapshots of configured plugins.
    pub(crate) snapshots: Arc<Budget>,
    /// The idle instances that may be kept for later calls, and how much of the memory they may have.
    pub(crate) kept_instances: Arc<Semaphore>,
    pub(crate) kept_memory: Arc<Budget>,
    /// The cookies that no plugin may set.
    pub(crate) reserved_cookies: ReservedCookies,
    _ticker: Ticker,
}

impl Engine {
    /// Starts to build an engine. By default it has no cache directory, plugins can't use https, and there is no bound
    /// on the memory of all instances together.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            cache_directory: None,
            tls: None,
            proxy: None,
            memory: usize::MAX,
            concurrency: Self::DEFAULT_CONCURRENCY,
        }
    }

    /// How many plugin calls run at the same time, unless [`EngineBuilder::concurrency`] says otherwise.
    pub const DEFAULT_CONCURRENCY: u32 = 256;

    /// Reserves the name of a cookie of the application: an answer of a plugin that sets one of this name counts as failed.
    /// A `*` at the end stands for any rest. A name stays reserved for as long as the engine lives.
    ///
    /// The cookies of this crate are reserved already: those of [`Sessions`](crate::session::Sessions) when a
    /// [`Gate`](crate::Gate) is made with them.
    pub fn reserve_cookie(&self, name: &str) {
        self.0.reserved_cookies.reserve(name);
    }

    /// How many bytes of memory all instances of plugins have at the moment, those that are kept for later calls included.
    pub fn memory_in_use(&self) -> usize {
        self.0.runtime.memory.taken()
    }

    /// The bound of [`Self::memory_in_use`]: what [`EngineBuilder::memory`] says.
    pub fn max_memory(&self) -> usize {
        self.0.runtime.memory.bytes()
    }

    /// Shares the caches of plugins and the rates of clients with other processes from now on, as far as the state's options say.
    /// `None` ends that. By default nothing is shared.
    ///
    /// Processes share what belongs to a plugin of the same name, component and settings. Their clocks must agree within seconds.
    pub fn share(&self, state: Option<Arc<SharedState>>) {
        self.0.runtime.shared.set(state);
    }

    /// Says whether no plugin's decision may be reused for later requests for now. Do so while it isn't known what was revoked:
    /// [`Revocations::set_uncertain`](crate::session::Revocations::set_uncertain).
    pub fn pause_reuse(&self, is_paused: bool) {
        self.0.decisions.pause(is_paused);
    }

    pub(crate) fn shared(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("cache", &self.0.cache)
            .finish_non_exhaustive()
    }
}

/// Builds an [`Engine`].
#[derive(Debug)]
pub struct EngineBuilder {
    cache_directory: Option<PathBuf>,
    tls: Option<Arc<rustls::ClientConfig>>,
    proxy: Option<OutboundProxy>,
    memory: usize,
    concurrency: u32,
}

impl EngineBuilder {
    /// The directory for compiled components. It is created if it doesn't exist, and must not be writable for other
    /// users, because its files are run as machine code. Default: no cache.
    #[must_use]
    pub fn cache_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache_directory = Some(directory.into());
        self
    }

    /// The most memory of all instances together, in bytes. An instance that would exceed it fails. A quarter of as much
    /// again may hold copies of configured plugins. Default: no bound but [`Limits::memory`] of each instance.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// The most plugin calls that run at the same time, those of all authenticators together. Each authenticator has one
    /// place that no other can take. Default: [`Engine::DEFAULT_CONCURRENCY`]; at most [`Self::MAX_CONCURRENCY`]. Each
    /// place takes up to 10 GiB of address space, but no memory.
    #[must_use]
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.concurrency = calls.clamp(1, Self::MAX_CONCURRENCY);
        self
    }

    /// The upper bound of [`Self::concurrency`].
    pub const MAX_CONCURRENCY: u32 = 4096;

    /// The TLS configuration for requests of plugins to other servers. Default: none, and requests over https fail.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// The forward proxies for requests of plugins to other servers. Default: none.
    #[must_use]
    pub fn proxy(mut self, proxy: OutboundProxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Starts the engine, with a thread that interrupts plugins at their deadlines.
    ///
    /// # Errors
    ///
    /// Returns an error if the cache directory can't be created or isn't safe to use, or if Wasmtime can't be started.
    pub fn build(self) -> Result<Engine, EngineError> {
        let cache = self.cache_directory.map(CompileCache::open).transpose()?;
        let wasmtime = pooled(self.concurrency).or_else(|error| {
            tracing::warn!(
                error = %error.root_cause(),
                "the address space is too small for a pool of sandboxes (ulimit -v), so each is mapped as small as it can \
                 be, which is slower"
            );
            wasmtime::Engine::new(&small())
        });
        let wasmtime = wasmtime.map_err(|error| EngineError::Start(format!("{error:#}")))?;
        let ticker = Ticker::start(&wasmtime).map_err(|error| EngineError::Start(error.to_string()))?;
        let linker = sandbox::linker(&wasmtime).map_err(|error| EngineError::Start(format!("{error:#}")))?;
        let decisions = Store::new().map_err(|_| EngineError::Start("the system has no random numbers".to_owned()))?;
        let calls = Arc::new(Semaphore::new(self.concurrency as usize));
        Ok(Engine(Arc::new(Inner {
            runtime: Runtime {
                wasmtime,
                scheduler: FairScheduler::new(),
                memory: Arc::new(Budget::new(self.memory)),
                keys: Arc::new(Keys::new()),
                shared: SharedPlace::default(),
            },
            linker,
            calls,
            configuring: Arc::new(Semaphore::new(CONFIGURING as usize)),
            tls: self.tls,
            proxy: self.proxy,
            cache,
            decisions: Arc::new(decisions),
            background: Background::default(),
            snapshots: Arc::new(Budget::new(self.memory / 4)),
            kept_instances: Arc::new(Semaphore::new(kept(self.concurrency) as usize)),
            kept_memory: Arc::new(Budget::new(self.memory / 4)),
            reserved_cookies: ReservedCookies::default(),
            _ticker: ticker,
        })))
    }
}

/// Why an [`Engine`] can't be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The cache directory can't be used.
    #[error(transparent)]
    Cache(#[from] UnusableCache),
    /// Wasmtime or the thread for its clock can't be started.
    #[error("the WebAssembly engine doesn't start: {0}")]
    Start(String),
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // The contract has no async functions, and without this support every call is a fifth faster.
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(512 << 10)
        .wasm_memory64(false)
        .wasm_wide_arithmetic(true);
    config
}

/// Sandboxes that reserve no more address space than they use. They check each access instead of relying on what is
/// mapped.
fn small() -> Config {
    let mut config = config();
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(1 << 20)
        .memory_guard_size(0);
    config
}

/// How many plugins are configured at the same time.
const CONFIGURING: u32 = 16;

/// How many idle instances all authenticators together may keep for later calls.
const fn kept(calls: u32) -> u32 {
    calls.div_ceil(4)
}

fn pooled(calls: u32) -> wasmtime::Result<wasmtime::Engine> {
    let calls = calls + kept(calls) + CONFIGURING;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_stacks(calls)
        .total_memories(calls * 2)
        .total_tables(calls * 8)
        // A component in Rust has three or four core instances, one with Python's interpreter about a hundred.
        .total_core_instances(calls * 32)
        .max_core_instances_per_component(200)
        .max_memories_per_component(2)
        .max_tables_per_component(100)
        .table_elements(100_000)
        .max_core_instance_size(8 << 20)
        .max_component_instance_size(8 << 20)
        .max_memory_size(Limits::MAX_MEMORY)
        // Where the kernel knows which pages were written to (Linux 6.7), only these are cleared.
        .pagemap_scan(Enabled::Auto)
        // Clearing a small memory is faster than returning its pages to the system and faulting them in again.
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(64 << 10);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime::Engine::new(&config)
}
