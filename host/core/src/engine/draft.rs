//! A second compiler, for code that runs once. It compiles quickly to code that is slow, and its instances are mapped one
//! by one instead of being taken from the pool.

use std::sync::Arc;

use wasmtime::OptLevel;
use wasmtime::RegallocAlgorithm;
use wasmtime::component::Linker;

use super::Inner;
use super::small;
use super::ticker::Ticker;
use crate::sandbox;
use crate::sandbox::FairScheduler;
use crate::sandbox::HostState;
use crate::sandbox::Runtime;

/// The compiler, and what its instances share. Their memory counts as the memory of the other instances does.
pub(crate) struct Draft {
    pub(crate) runtime: Runtime,
    pub(crate) linker: Linker<HostState>,
    _ticker: Ticker,
}

impl Draft {
    pub(crate) fn new(engine: &Inner) -> wasmtime::Result<Self> {
        let mut config = small();
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        let wasmtime = wasmtime::Engine::new(&config)?;
        Ok(Self {
            _ticker: Ticker::start(&wasmtime)?,
            linker: sandbox::linker(&wasmtime)?,
            runtime: Runtime {
                wasmtime,
                scheduler: FairScheduler::new(),
                memory: Arc::clone(&engine.runtime.memory),
                keys: Arc::clone(&engine.runtime.keys),
                shared: engine.runtime.shared.clone(),
            },
        })
    }
}
