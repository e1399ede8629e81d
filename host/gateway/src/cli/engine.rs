//! The engine that the configuration asks for, and the generation that it loads.

use std::error::Error;
use std::sync::Arc;

use portcullis::Engine;
use portcullis::EngineBuilder;

use crate::config::ConfigErrors;
use crate::config::Draft;
use crate::config::PluginsConfig;
use crate::generation::Generation;
use crate::machine;
use crate::proxy::Proxy;
use crate::tls::trust;

/// Loads a configuration with its plugins. Its routes share the upstreams of the proxy.
pub(super) async fn load(draft: Draft, proxy: &Proxy) -> Result<Generation, Box<dyn Error>> {
    match engine(&draft.config.plugins) {
        Ok(engine) => Ok(Generation::load(draft, &engine, proxy).await?),
        // Without an engine the plugins can't be asked about their settings, but the file's mistakes are known.
        Err(_) if !draft.errors.is_empty() => Err(ConfigErrors::new(draft.errors).into()),
        Err(error) => Err(error),
    }
}

/// An engine that keeps compiled plugins where the configuration says, else where they are kept by default.
pub(super) fn engine(plugins: &PluginsConfig) -> Result<Engine, Box<dyn Error>> {
    if let Some(directory) = &plugins.cache_directory {
        return Ok(builder(plugins)?.cache_directory(directory).build()?);
    }
    if let Some(directory) = &plugins.default_cache_directory {
        match builder(plugins)?.cache_directory(directory).build() {
            Ok(engine) => return Ok(engine),
            Err(error) => {
                tracing::warn!(%error, "compiled plugins are not kept, so that each start compiles them again")
            }
        }
    }
    Ok(builder(plugins)?.build()?)
}

/// How many bytes of memory all plugins may have together.
pub(super) fn memory(plugins: &PluginsConfig) -> usize {
    plugins.memory.or_else(machine::plugin_memory).unwrap_or(usize::MAX)
}

fn builder(plugins: &PluginsConfig) -> Result<EngineBuilder, Box<dyn Error>> {
    let tls = trust::client(trust::system(), None)?;
    Ok(Engine::builder().tls(Arc::new(tls)).memory(memory(plugins)))
}
