//! Makes the engine that the configuration describes, and loads a generation with it. All commands that run plugins do so.

use std::error::Error;
use std::sync::Arc;

use portcullis::Engine;
use portcullis::EngineBuilder;
use portcullis_loader::tls::trust;

use crate::config::ConfigErrors;
use crate::config::Draft;
use crate::config::PluginsConfig;
use crate::generation::Generation;
use crate::machine;
use crate::proxy::Proxy;

/// Loads the first generation of a configuration, and its plugins. The routes share the upstreams of the proxy.
pub(super) async fn load(draft: Draft, proxy: &Proxy) -> Result<(Engine, Generation), Box<dyn Error>> {
    match engine(&draft.config.plugins) {
        Ok(engine) => {
            let generation = Generation::load(draft, &engine, proxy, None).await?;
            Ok((engine, generation))
        }
        // Plugins can't check their settings without an engine, but the mistakes in the file are known.
        Err(_) if !draft.errors.is_empty() => Err(ConfigErrors::new(draft.errors).into()),
        Err(error) => Err(error),
    }
}

/// Makes an engine that caches compiled plugins in the configured directory, or in the default one if it can be used.
pub(super) fn engine(plugins: &PluginsConfig) -> Result<Engine, Box<dyn Error>> {
    if let Some(directory) = &plugins.cache_directory {
        return Ok(builder(plugins)?.cache_directory(directory).build()?);
    }
    if let Some(directory) = &plugins.default_cache_directory {
        match builder(plugins)?.cache_directory(directory).build() {
            Ok(engine) => return Ok(engine),
            Err(error) => {
                tracing::warn!(%error, "compiled plugins can't be cached, so each start compiles them again")
            }
        }
    }
    Ok(builder(plugins)?.build()?)
}

/// Returns how many bytes of memory all plugins together may use.
pub(super) fn memory(plugins: &PluginsConfig) -> usize {
    plugins.memory.or_else(machine::plugin_memory).unwrap_or(usize::MAX)
}

fn builder(plugins: &PluginsConfig) -> Result<EngineBuilder, Box<dyn Error>> {
    let tls = trust::client_of_system()?;
    let mut builder = Engine::builder().tls(Arc::new(tls)).memory(memory(plugins));
    if let Some(calls) = plugins.concurrency {
        builder = builder.concurrency(calls);
    }
    Ok(match &plugins.proxy {
        Some(proxy) => builder.proxy(proxy.clone()),
        None => builder,
    })
}
