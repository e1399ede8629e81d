//! One compiler and one pool of sandboxes for a whole process. Everything that plugins share is here, and none of it
//! is visible to them.

mod cache;
mod ticker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Config;
use wasmtime::InstanceAllocationStrategy;
use wasmtime::OptLevel;
use wasmtime::PoolingAllocationConfig;
use wasmtime::component::Linker;

use self::cache::CompileCache;
use self::ticker::Ticker;
use crate::limits::Limits;
use crate::sandbox;
use crate::sandbox::Budget;
use crate::sandbox::Runtime;
use crate::sandbox::State;
use crate::sandbox::Turns;

pub use self::cache::UnusableCache;

/// Most plugin calls at once in one process.
const MAX_CALLS: u32 = 256;

/// Compiles components and runs them. A clone is the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) runtime: Runtime,
    pub(crate) linker: Linker<State>,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) cache: Option<CompileCache>,
    _ticker: Ticker,
}

impl Engine {
    /// An engine with nothing cached on disk and no TLS for plugins, until the builder says otherwise.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            cache_directory: None,
            tls: None,
            memory: usize::MAX,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
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

/// What an [`Engine`] is made from.
#[derive(Debug)]
pub struct EngineBuilder {
    cache_directory: Option<PathBuf>,
    tls: Option<Arc<rustls::ClientConfig>>,
    memory: usize,
}

impl EngineBuilder {
    /// Keeps compiled components here. The folder must be the process's own: what lies in it is run as machine code.
    #[must_use]
    pub fn cache_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache_directory = Some(directory.into());
        self
    }

    /// How many bytes of memory all instances may have together; one that gets no more fails. Without it there is no
    /// bound but the limits of each.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Which servers plugins trust when they ask over https. Without it, https fails.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Starts the engine and its clock.
    ///
    /// # Errors
    ///
    /// When the cache folder can't be made or isn't safe to use, or the machine can't reserve the address space.
    pub fn build(self) -> Result<Engine, EngineError> {
        let cache = self.cache_directory.map(CompileCache::open).transpose()?;
        let wasmtime = pooled().or_else(|error| {
            tracing::warn!(%error, "no pool of sandboxes: each one is mapped for itself, which is slower");
            wasmtime::Engine::new(&config())
        });
        let wasmtime = wasmtime.map_err(|error| EngineError::Start(format!("{error:#}")))?;
        let ticker = Ticker::start(&wasmtime).map_err(|error| EngineError::Start(error.to_string()))?;
        let linker = sandbox::linker(&wasmtime).map_err(|error| EngineError::Start(format!("{error:#}")))?;
        let calls = Arc::new(Semaphore::new(MAX_CALLS as usize));
        Ok(Engine(Arc::new(Shared {
            runtime: Runtime {
                wasmtime,
                turns: Turns::new(),
                memory: Arc::new(Budget::new(self.memory)),
            },
            linker,
            calls,
            tls: self.tls,
            cache,
            _ticker: ticker,
        })))
    }
}

/// Why there is no [`Engine`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The folder for compiled components can't be used.
    #[error(transparent)]
    Cache(#[from] UnusableCache),
    /// Wasmtime didn't start.
    #[error("the WebAssembly engine doesn't start: {0}")]
    Start(String),
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // No guest of ours lifts asynchronously, and leaving it out saves a fifth of every call.
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(512 << 10)
        .wasm_memory64(false)
        .wasm_wide_arithmetic(true);
    config
}

fn pooled() -> wasmtime::Result<wasmtime::Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_CALLS)
        .total_stacks(MAX_CALLS)
        .total_memories(MAX_CALLS * 2)
        .total_tables(MAX_CALLS * 8)
        // Rust's standard library makes three or four core instances, Python's interpreter about a hundred.
        .total_core_instances(MAX_CALLS * 32)
        .max_core_instances_per_component(200)
        .max_memories_per_component(2)
        .max_tables_per_component(100)
        .table_elements(100_000)
        .max_core_instance_size(8 << 20)
        .max_component_instance_size(8 << 20)
        .max_memory_size(Limits::MAX_MEMORY)
        // Clearing a small memory by hand is faster than giving its pages back and faulting them in again.
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(64 << 10);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime::Engine::new(&config)
}
