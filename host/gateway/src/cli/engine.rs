//! The engine that the configuration asks for, and the generation that it loads.

use std::error::Error;
use std::sync::Arc;

use portcullis::Engine;
use portcullis::EngineBuilder;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;

use crate::config::ConfigErrors;
use crate::config::Draft;
use crate::config::PluginsConfig;
use crate::generation::Generation;

/// Loads a configuration with its plugins.
pub(super) async fn load(draft: Draft) -> Result<Generation, Box<dyn Error>> {
    match engine(&draft.config.plugins) {
        Ok(engine) => Ok(Generation::load(draft, &engine).await?),
        // Without an engine the plugins can't be asked about their settings, but the file's mistakes are known.
        Err(_) if !draft.errors.is_empty() => Err(ConfigErrors::new(draft.errors).into()),
        Err(error) => Err(error),
    }
}

/// An engine that keeps compiled plugins where the configuration says, else where they are kept by default.
pub(super) fn engine(plugins: &PluginsConfig) -> Result<Engine, Box<dyn Error>> {
    if let Some(directory) = &plugins.cache_directory {
        return Ok(builder()?.cache_directory(directory).build()?);
    }
    if let Some(directory) = &plugins.default_cache_directory {
        match builder()?.cache_directory(directory).build() {
            Ok(engine) => return Ok(engine),
            Err(error) => {
                tracing::warn!(%error, "compiled plugins are not kept, so that each start compiles them again")
            }
        }
    }
    Ok(builder()?.build()?)
}

fn builder() -> Result<EngineBuilder, Box<dyn Error>> {
    Ok(Engine::builder().tls(Arc::new(tls()?)))
}

/// Whom plugins trust when they ask over https: the authorities that the system trusts.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some of the system's certificate authorities can't be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("the system trusts no certificate authority, so that plugins can't ask over https");
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
