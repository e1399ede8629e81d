//! Finds the component of every authenticator, checks its SHA-256 and compiles it. A component that several authenticators
//! use is compiled once.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hash;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis::Component;
use portcullis::Digest;
use portcullis::Engine;

use crate::config::AuthenticatorConfig;
use crate::config::ConfigError;
use crate::config::PluginSource;
use crate::config::unknown;
use crate::files::read_bytes;
use crate::generation::previous::Previous;

/// The maximum size of a component, in bytes.
pub(crate) const MAX_COMPONENT: u64 = 256 << 20;

/// Loads the component of each authenticator. The results are in the order of the authenticators. A component that the
/// previous generation has isn't compiled again.
pub(super) async fn load(
    authenticators: &[AuthenticatorConfig],
    engine: &Engine,
    previous: Previous<'_>,
) -> Vec<Result<Component, ConfigError>> {
    let sources = authenticators.iter().map(|authenticator| authenticator.plugin.clone());
    let files = on_blocking_threads(sources, File::find).await;
    let pinned = Vec::from_iter(authenticators.iter().map(|authenticator| pinned(authenticator, &files)));

    let wanted = pinned.iter().flatten().map(|file| (file.digest, file.clone()));
    let wanted: Arc<HashMap<Digest, File>> = Arc::new(wanted.collect());
    let known = previous.components();
    let unknown = wanted.keys().copied().filter(|digest| !known.contains_key(digest));
    let (digests, engine) = (Vec::from_iter(unknown), engine.clone());
    let compiled = on_blocking_threads(digests, move |digest| {
        let file = wanted.get(digest).ok_or("the file wasn't read")?;
        Component::new(&engine, &file.wasm).map_err(|error| error.to_string())
    });
    let compiled = compiled.await;

    let component = |(authenticator, file): (&AuthenticatorConfig, Result<File, ConfigError>)| {
        let digest = file?.digest;
        let known = known.get(&digest).map(|component| Ok((*component).clone()));
        let component = known
            .or_else(|| compiled.get(&digest).cloned())
            .unwrap_or_else(|| Err("the component wasn't compiled".to_owned()));
        component.map_err(|error| error_at(authenticator, &error))
    };
    authenticators.iter().zip(pinned).map(component).collect()
}

/// The bytes of a component.
#[derive(Clone)]
struct File {
    digest: Digest,
    wasm: Arc<[u8]>,
}

impl File {
    fn find(source: &PluginSource) -> Result<Self, String> {
        let wasm: Arc<[u8]> = match source {
            PluginSource::BuiltIn(name) => portcullis_plugins::find(name)
                .ok_or_else(|| {
                    let message = unknown(
                        "built-in plugin",
                        name,
                        portcullis_plugins::ALL.iter().map(|(name, _)| *name),
                    );
                    format!("{message} (the path of a file must end in .wasm or contain a slash)")
                })?
                .into(),
            PluginSource::File(path) => read_bytes(path, MAX_COMPONENT)?.into(),
        };
        Ok(Self {
            digest: Digest::of(&wasm),
            wasm,
        })
    }
}

fn pinned(
    authenticator: &AuthenticatorConfig,
    files: &HashMap<PluginSource, Result<File, String>>,
) -> Result<File, ConfigError> {
    let file = files
        .get(&authenticator.plugin)
        .cloned()
        .unwrap_or_else(|| Err("the component wasn't read".to_owned()));
    let file = file.map_err(|error| error_at(authenticator, &error))?;
    match authenticator.sha256 {
        Some(pin) if pin != file.digest => {
            let message = format!("its SHA-256 is {}, but sha256 is set to {pin}", file.digest);
            Err(error_at(authenticator, &message))
        }
        _ => Ok(file),
    }
}

/// Makes an error at the authenticator's location. The message names the component's file unless the location does.
fn error_at(authenticator: &AuthenticatorConfig, error: &str) -> ConfigError {
    let location = &authenticator.location;
    match &authenticator.plugin {
        PluginSource::File(path) if !location.is_file(path) => location.error(format!("{}: {error}", path.display())),
        _ => location.error(error),
    }
}

/// Runs blocking work for each distinct key, on as many threads as there are processors.
async fn on_blocking_threads<K, T>(
    keys: impl IntoIterator<Item = K>,
    work: impl Fn(&K) -> Result<T, String> + Clone + Send + 'static,
) -> HashMap<K, Result<T, String>>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Send + 'static,
{
    let run = |key: K| {
        let (work, moved) = (work.clone(), key.clone());
        let task = tokio::task::spawn_blocking(move || work(&moved));
        async move { (key, task.await.unwrap_or_else(|error| Err(error.to_string()))) }
    };
    let processors = available_parallelism().map_or(1, NonZero::get);
    let keys: HashSet<K> = keys.into_iter().collect();
    stream::iter(keys).map(run).buffer_unordered(processors).collect().await
}
