//! The components of plugins: their bytes, where these come from, and the compiled form. A component that several
//! plugins use is compiled once. One of another origin than the operator wants isn't compiled.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::num::NonZero;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use portcullis::Component;
use portcullis::ComponentBytes;
use portcullis::Digest;
use portcullis::Engine;
use portcullis_registry::MAX_COMPONENT;

use crate::config::error::ConfigError;
use crate::config::plugin::PluginConfig;
use crate::config::plugin::PluginSource;
use crate::files::Unreadable;
use crate::files::read_guarded;
use crate::signature;
use crate::signature::MAX_SIGNATURE;
use crate::signature::Signature;
use crate::signature::Signer;
use crate::signature::TrustedKeys;

/// Why a component isn't used.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is no third kind: it may be trusted, or not"
)]
pub enum Unusable<E> {
    /// It may be the work of somebody whom the operator doesn't trust: its digest, its signature or the permissions of its file
    /// aren't as they must be. Or its registry doesn't have it at the moment, or has something else.
    Untrusted(E),
    /// It can't be found, read or compiled.
    Broken(E),
}

impl<E> Unusable<E> {
    fn map<F>(self, map: impl FnOnce(E) -> F) -> Unusable<F> {
        match self {
            Self::Untrusted(error) => Unusable::Untrusted(map(error)),
            Self::Broken(error) => Unusable::Broken(map(error)),
        }
    }
}

impl From<String> for Unusable<String> {
    fn from(error: String) -> Self {
        Self::Broken(error)
    }
}

/// The bytes of a component, and who signed them.
#[derive(Clone)]
pub struct ComponentFile {
    wasm: ComponentBytes,
    signer: Option<Signer>,
}

impl fmt::Debug for ComponentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ComponentFile");
        shown
            .field("digest", self.digest())
            .field("signer", &self.signer)
            .finish()
    }
}

impl ComponentFile {
    /// The component with these bytes. `signer` is who signed exactly these, or `None` if no signature is required.
    pub fn new(wasm: impl Into<Bytes>, signer: Option<Signer>) -> Self {
        let wasm = ComponentBytes::new(wasm);
        Self { wasm, signer }
    }

    /// Reads a file that only root and the user of this process may write, and verifies its signature if there are keys to
    /// trust.
    ///
    /// # Errors
    ///
    /// The text is the rest of a sentence that begins with the file's name.
    pub fn read(path: &Path, trust: Option<&TrustedKeys>) -> Result<Self, Unusable<String>> {
        let wasm = read_guarded(path, MAX_COMPONENT).map_err(|error| match error {
            Unreadable::Unguarded(why) => Unusable::Untrusted(why),
            Unreadable::Broken(why) => Unusable::Broken(why),
        })?;
        let signer = trust.map(|trust| signer(path, &wasm, trust));
        let signer = signer.transpose().map_err(Unusable::Untrusted)?;
        Ok(Self::new(wasm, signer))
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        self.wasm.digest()
    }

    /// Compiles the component, which takes up to some seconds.
    ///
    /// # Errors
    ///
    /// The text is the rest of a sentence that begins with the name of the component.
    pub fn compile(&self, engine: &Engine) -> Result<Component, String> {
        Component::of(engine, self.wasm.clone()).map_err(|error| error.to_string())
    }
}

/// Compares the digest of a component with the one that `sha256` requires.
///
/// # Errors
///
/// The text is the rest of a sentence that begins with the name of the component.
pub fn check_pin(pin: Option<&Digest>, digest: &Digest) -> Result<(), String> {
    match pin {
        Some(pin) if pin != digest => Err(format!("its SHA-256 is {digest}, but sha256 is set to {pin}")),
        _ => Ok(()),
    }
}

/// Finds the signature beside a component, and verifies that it is of exactly these bytes.
fn signer(path: &Path, wasm: &[u8], trust: &TrustedKeys) -> Result<Signer, String> {
    let path = signature::beside(path);
    let error = |why: &dyn fmt::Display| format!("its signature {} {why}", path.display());
    let bytes = read_guarded(&path, MAX_SIGNATURE).map_err(|why| error(&why))?;
    let signature = Signature::parse(&bytes).map_err(|why| error(&why))?;
    trust.verify(wasm, &signature).map_err(|why| error(&why))?;
    Ok(signature.signer())
}

/// A compiled component, and who signed it.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedComponent {
    /// The component.
    pub component: Component,
    /// Who signed it. `None` if no signature is required.
    pub signer: Option<Signer>,
}

/// Reads each of these sources once, on threads for blocking work. An error is the rest of a sentence that begins with the
/// name of the source.
pub async fn read_all<S>(
    sources: HashSet<S>,
    read: impl Fn(&S) -> Result<ComponentFile, Unusable<String>> + Clone + Send + 'static,
) -> HashMap<S, Result<ComponentFile, Unusable<String>>>
where
    S: Clone + Eq + Hash + Send + 'static,
{
    on_blocking_threads(sources, read).await
}

/// Reads the components of plugins whose components are all files. The results are in the order of the plugins.
pub(crate) async fn read_files(configured: &[PluginConfig]) -> Vec<Result<ComponentFile, Unusable<String>>> {
    type File = (PathBuf, Option<Arc<TrustedKeys>>);
    let file = |config: &PluginConfig| match &config.plugin {
        PluginSource::File(path) => Some((path.clone(), config.trust.clone())),
        PluginSource::BuiltIn(_) | PluginSource::Registry(_) => None,
    };
    let read = |(path, trust): &File| ComponentFile::read(path, trust.as_deref());
    let files = read_all(configured.iter().filter_map(file).collect(), read).await;
    let found = configured.iter().map(|config| {
        let found = file(config).and_then(|file| files.get(&file).cloned());
        found.unwrap_or_else(|| Err(format!("{} is no file", config.plugin).into()))
    });
    found.collect()
}

/// Checks the pins of components and compiles them. `found` and the results are in the order of the plugins. A known
/// component, such as one of the set before, isn't compiled again.
pub async fn compile(
    configured: &[PluginConfig],
    found: Vec<Result<ComponentFile, Unusable<String>>>,
    engine: &Engine,
    known: &HashMap<Digest, &Component>,
) -> Vec<Result<LoadedComponent, Unusable<ConfigError>>> {
    let found = configured.iter().zip(found);
    let pinned = Vec::from_iter(found.map(|(config, found)| pinned(config, found)));
    let wanted = pinned.iter().flatten().map(|file| (*file.digest(), file.clone()));
    let wanted: Arc<HashMap<Digest, ComponentFile>> = Arc::new(wanted.collect());
    let unknown = wanted.keys().copied().filter(|digest| !known.contains_key(digest));
    let (unknown, engine) = (unknown.collect(), engine.clone());
    let compiled = on_blocking_threads(unknown, move |digest| {
        let file = wanted.get(digest).ok_or_else(|| "the file wasn't read".to_owned())?;
        file.compile(&engine)
    });
    let compiled: HashMap<Digest, Result<Component, String>> = compiled.await;
    let loaded = configured.iter().zip(pinned).map(|(config, file)| {
        let ComponentFile { wasm, signer } = file?;
        let digest = wasm.digest();
        let known = known.get(digest).map(|component| Ok((*component).clone()));
        let component = known
            .or_else(|| compiled.get(digest).cloned())
            .unwrap_or_else(|| Err("the component wasn't compiled".to_owned()))
            .map_err(|error| Unusable::Broken(config.error(&error)))?;
        Ok(LoadedComponent { component, signer })
    });
    loaded.collect()
}

fn pinned(
    config: &PluginConfig,
    found: Result<ComponentFile, Unusable<String>>,
) -> Result<ComponentFile, Unusable<ConfigError>> {
    let file = found.map_err(|why| why.map(|error| config.error(&error)))?;
    let checked = check_pin(config.sha256.as_ref(), file.digest());
    checked.map_err(|why| Unusable::Untrusted(config.error(&why)))?;
    Ok(file)
}

/// Runs blocking work for each distinct key, on as many threads as there are processors.
async fn on_blocking_threads<K, T, E>(
    keys: HashSet<K>,
    work: impl Fn(&K) -> Result<T, E> + Clone + Send + 'static,
) -> HashMap<K, Result<T, E>>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Send + 'static,
    E: From<String> + Send + 'static,
{
    let run = |key: K| {
        let (work, moved) = (work.clone(), key.clone());
        let task = tokio::task::spawn_blocking(move || work(&moved));
        async move {
            let result = task.await.unwrap_or_else(|error| Err(error.to_string().into()));
            (key, result)
        }
    };
    let processors = available_parallelism().map_or(1, NonZero::get);
    stream::iter(keys).map(run).buffer_unordered(processors).collect().await
}
