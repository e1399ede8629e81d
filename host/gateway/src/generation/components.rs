//! Finds the component of every authenticator, checks its origin and compiles it. A component that several authenticators
//! use is compiled once. One of another origin than the operator wants isn't compiled.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::num::NonZero;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis::Component;
use portcullis::Digest;
use portcullis::Engine;
use portcullis_loader::files::Unreadable;
use portcullis_loader::files::read_guarded;
use portcullis_loader::signature;
use portcullis_loader::signature::MAX_SIGNATURE;
use portcullis_loader::signature::Signature;
use portcullis_loader::signature::Signer;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::MAX_COMPONENT;
use portcullis_registry::Reference;

use crate::config::AuthenticatorConfig;
use crate::config::ConfigError;
use crate::config::PluginSource;
use crate::config::unknown;
use crate::generation::previous::Previous;
use crate::generation::remote::Fetched;
use crate::generation::remote::Pinning;
use crate::generation::remote::Remote;
use crate::generation::remote::Wanted;
use crate::lock::Pin;

/// A component, and who signed it.
#[derive(Debug)]
pub(super) struct LoadedComponent {
    pub(super) component: Component,
    /// `None` if no signature is required.
    pub(super) signer: Option<Signer>,
    /// The tag that names it and has no pin, and the digest of the manifest that it names now.
    pub(super) unpinned: Option<(Reference, portcullis_registry::Digest)>,
}

/// Why a component isn't used.
#[derive(Clone, Debug)]
pub(super) enum Unusable<E> {
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

/// Loads the component of each authenticator. The results are in the order of the authenticators. A component that the
/// previous generation has isn't compiled again.
pub(super) async fn load(
    authenticators: &[AuthenticatorConfig],
    remote: &Remote,
    engine: &Engine,
    previous: Previous<'_>,
) -> Vec<Result<LoadedComponent, Unusable<ConfigError>>> {
    let sources = HashSet::<Source>::from_iter(authenticators.iter().map(Source::of));
    let wanted = sources.iter().filter_map(Source::wanted).collect();
    let local = sources.into_iter().filter(|source| source.wanted().is_none());
    let (mut files, fetched) = tokio::join!(on_blocking_threads(local, File::find), remote.fetch(wanted));
    files.extend(fetched.into_iter().map(|((reference, trust), fetched)| {
        let file = fetched
            .map(|fetched| File::of(&reference, fetched))
            .map_err(Unusable::Untrusted);
        (Source::Registry(reference, trust), file)
    }));
    let pinned = Vec::from_iter(authenticators.iter().map(|authenticator| pinned(authenticator, &files)));

    let wanted = pinned.iter().flatten().map(|file| (file.digest, file.clone()));
    let wanted: Arc<HashMap<Digest, File>> = Arc::new(wanted.collect());
    let known = previous.components();
    let unknown = wanted.keys().copied().filter(|digest| !known.contains_key(digest));
    let (digests, engine) = (Vec::from_iter(unknown), engine.clone());
    let compiled = on_blocking_threads(digests, move |digest| {
        let file = wanted.get(digest).ok_or_else(|| "the file wasn't read".to_owned())?;
        Component::new(&engine, &file.wasm).map_err(|error| error.to_string())
    });
    let compiled = compiled.await;

    let component = |(authenticator, file): (&AuthenticatorConfig, Result<File, Unusable<ConfigError>>)| {
        let file = file?;
        let known = known.get(&file.digest).map(|component| Ok((*component).clone()));
        let component = known
            .or_else(|| compiled.get(&file.digest).cloned())
            .unwrap_or_else(|| Err("the component wasn't compiled".to_owned()))
            .map_err(|error| Unusable::Broken(error_at(authenticator, &error)))?;
        Ok((component, file))
    };
    let components = Vec::from_iter(authenticators.iter().zip(pinned).map(component));
    let new = components.iter().flatten().filter_map(|(_, file)| file.new_pin.clone());
    let unwritten = remote.pin(new.collect()).await;
    let loaded = |(authenticator, component): (&AuthenticatorConfig, Result<_, _>)| {
        let (component, File { signer, new_pin, .. }): (Component, File) = component?;
        let unpinned = match (&unwritten, new_pin) {
            (_, None) | (Ok(Pinning::Written), _) => None,
            (Ok(Pinning::Left), Some((reference, pin))) => Some((reference, pin.manifest)),
            (Err(why), Some(_)) => return Err(Unusable::Untrusted(error_at(authenticator, why))),
        };
        Ok(LoadedComponent {
            component,
            signer,
            unpinned,
        })
    };
    authenticators.iter().zip(components).map(loaded).collect()
}

/// Where a component comes from, and whose signature it needs.
#[derive(Clone, Eq, Hash, PartialEq)]
enum Source {
    /// The built-in plugin with this name. It is a part of the program, and as trusted.
    BuiltIn(String),
    /// A file, and the keys of which one must have signed it. `None` if it needs no signature.
    File(PathBuf, Option<Arc<TrustedKeys>>),
    /// A component in a registry, and the keys of which one must have signed it.
    Registry(Reference, Option<Arc<TrustedKeys>>),
}

impl Source {
    fn of(authenticator: &AuthenticatorConfig) -> Self {
        match &authenticator.plugin {
            PluginSource::BuiltIn(name) => Self::BuiltIn(name.clone()),
            PluginSource::File(path) => Self::File(path.clone(), authenticator.trust.clone()),
            PluginSource::Registry(reference) => Self::Registry(reference.clone(), authenticator.trust.clone()),
        }
    }

    /// What a registry is asked for. `None` if none is asked.
    fn wanted(&self) -> Option<Wanted> {
        match self {
            Self::Registry(reference, trust) => Some((reference.clone(), trust.clone())),
            Self::BuiltIn(_) | Self::File(..) => None,
        }
    }
}

/// The bytes of a component.
#[derive(Clone)]
struct File {
    digest: Digest,
    wasm: Arc<[u8]>,
    /// Who signed exactly these bytes. `None` if no signature is required.
    signer: Option<Signer>,
    /// The tag by which a registry was asked, and the pin that it gets.
    new_pin: Option<(Reference, Pin)>,
}

impl File {
    fn find(source: &Source) -> Result<Self, Unusable<String>> {
        let (wasm, signer): (Arc<[u8]>, _) = match source {
            Source::BuiltIn(name) => (built_in(name)?.into(), None),
            Source::File(path, trust) => {
                let wasm = read_guarded(path, MAX_COMPONENT).map_err(|error| match error {
                    Unreadable::Unguarded(why) => Unusable::Untrusted(why),
                    Unreadable::Broken(why) => Unusable::Broken(why),
                })?;
                let signer = trust.as_ref().map(|trust| signer(path, &wasm, trust));
                (wasm.into(), signer.transpose().map_err(Unusable::Untrusted)?)
            }
            Source::Registry(reference, _) => return Err(format!("{reference} is no file").into()),
        };
        Ok(Self {
            digest: Digest::of(&wasm),
            wasm,
            signer,
            new_pin: None,
        })
    }

    fn of(reference: &Reference, fetched: Fetched) -> Self {
        Self {
            digest: Digest::of(&fetched.wasm),
            wasm: fetched.wasm,
            signer: fetched.signer,
            new_pin: fetched.new_pin.map(|pin| (reference.clone(), pin)),
        }
    }
}

fn built_in(name: &str) -> Result<&'static [u8], String> {
    portcullis_plugins::find(name).ok_or_else(|| {
        let known = portcullis_plugins::ALL.iter().map(|(name, _)| *name);
        let message = unknown("built-in plugin", name, known);
        format!("{message} (the path of a file must end in .wasm or contain a slash)")
    })
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

fn pinned(
    authenticator: &AuthenticatorConfig,
    files: &HashMap<Source, Result<File, Unusable<String>>>,
) -> Result<File, Unusable<ConfigError>> {
    let file = files
        .get(&Source::of(authenticator))
        .cloned()
        .unwrap_or_else(|| Err("the component wasn't read".to_owned().into()));
    let file = file.map_err(|why| why.map(|error| error_at(authenticator, &error)))?;
    match authenticator.sha256 {
        Some(pin) if pin != file.digest => {
            let message = format!("its SHA-256 is {}, but sha256 is set to {pin}", file.digest);
            Err(Unusable::Untrusted(error_at(authenticator, &message)))
        }
        _ => Ok(file),
    }
}

/// Makes an error at the authenticator's location. The message names the component's file unless the location does.
fn error_at(authenticator: &AuthenticatorConfig, error: &str) -> ConfigError {
    let location = &authenticator.location;
    match &authenticator.plugin {
        PluginSource::File(path) if !location.is_file(path) => location.error(format!("{}: {error}", path.display())),
        PluginSource::Registry(reference) => location.error(format!("{reference}: {error}")),
        _ => location.error(error),
    }
}

/// Runs blocking work for each distinct key, on as many threads as there are processors.
async fn on_blocking_threads<K, T, E>(
    keys: impl IntoIterator<Item = K>,
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
    let keys: HashSet<K> = keys.into_iter().collect();
    stream::iter(keys).map(run).buffer_unordered(processors).collect().await
}
