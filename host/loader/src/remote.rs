//! Components from registries: which version is meant, the component itself, and its signature. What was pulled before comes
//! from the store, without a registry.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use portcullis_registry::Digest;
use portcullis_registry::Reference;
use portcullis_registry::Registries;
use portcullis_registry::Version;

use crate::lock::Lock;
use crate::lock::Pin;
use crate::signature::Signature;
use crate::signature::Signer;
use crate::signature::TrustedKeys;

/// How many components are pulled at the same time.
const CONCURRENCY: usize = 4;

/// A component of a registry, and whose signature it needs.
pub type Wanted = (Reference, Option<Arc<TrustedKeys>>);

/// Where components of registries come from.
#[derive(Debug)]
pub struct Remote {
    registries: Registries,
    /// The file with the pins. `None` if there is none.
    lock: Option<PathBuf>,
    unpinned: Unpinned,
}

/// A component that was pulled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The component.
    pub wasm: Bytes,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Who signed it. `None` if no signature is required.
    pub signer: Option<Signer>,
    /// The pin that the tag gets. `None` if it has one, or if a digest needs none.
    pub new_pin: Option<Pin>,
}

/// What happens with a tag that has no pin yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Unpinned {
    /// It is used, and a warning says so.
    #[default]
    Warn,
    /// It is pinned to the version that it names now.
    Pin,
}

/// What became of new pins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "whoever adds pins has to know both")]
pub enum Pinning {
    /// The lock has them.
    Written,
    /// They were left out, because the configuration is only looked at.
    Left,
}

impl Remote {
    /// These registries, and the file with the pins. `None` if tags have none.
    pub fn new(registries: Registries, lock: Option<PathBuf>, unpinned: Unpinned) -> Self {
        Self {
            registries,
            lock,
            unpinned,
        }
    }

    /// Whether tags are pinned when they are first used.
    pub fn keeps_pins(&self) -> bool {
        self.lock.is_some() && self.unpinned == Unpinned::Pin
    }

    /// The registries.
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// Writes new pins, if that is to be done.
    ///
    /// # Errors
    ///
    /// The text is a sentence.
    pub async fn pin(&self, pins: BTreeMap<Reference, Pin>) -> Result<Pinning, String> {
        let lock = self.lock.clone().filter(|_| self.unpinned == Unpinned::Pin);
        match lock.filter(|_| !pins.is_empty()) {
            Some(path) => write(path, pins, false).await.map(|()| Pinning::Written),
            None => Ok(Pinning::Left),
        }
    }

    /// Gets one component, by the pin of its tag if there is one.
    ///
    /// # Errors
    ///
    /// The text is a sentence.
    pub async fn fetch_alone(&self, reference: &Reference, trust: Option<&TrustedKeys>) -> Result<Fetched, String> {
        self.fetch_one(reference, trust, &self.read_lock().await).await
    }

    /// Gets what a tag names now, and pins it to that.
    ///
    /// # Errors
    ///
    /// The text is a sentence.
    pub async fn update(&self, reference: &Reference, trust: Option<&TrustedKeys>) -> Result<Fetched, String> {
        let fetched = self.fetch_one(reference, trust, &Ok(Lock::default())).await?;
        if let (Some(pin), Some(path)) = (fetched.new_pin, &self.lock) {
            write(path.clone(), BTreeMap::from([(reference.clone(), pin)]), true).await?;
        }
        Ok(fetched)
    }

    /// Pins a tag to what was found, if it has no pin.
    ///
    /// # Errors
    ///
    /// The text is a sentence.
    pub async fn pin_alone(&self, reference: &Reference, fetched: &Fetched) -> Result<(), String> {
        match (fetched.new_pin, &self.lock) {
            (Some(pin), Some(path)) => write(path.clone(), BTreeMap::from([(reference.clone(), pin)]), false).await,
            _ => Ok(()),
        }
    }

    /// The signature that the store has of a component, or else the registry. It isn't verified.
    ///
    /// # Errors
    ///
    /// The text is a sentence.
    pub async fn signature(&self, reference: &Reference, manifest: Digest) -> Result<Option<Vec<u8>>, String> {
        let stored = self.registries.stored_signatures(manifest).await;
        if let Some(signature) = stored.into_iter().next() {
            return Ok(Some(signature));
        }
        match self.registries.signatures(reference, manifest).await {
            Ok(found) => Ok(found.into_iter().next()),
            Err(portcullis_registry::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn read_lock(&self) -> Result<Lock, String> {
        let Some(path) = self.lock.clone() else {
            return Ok(Lock::default());
        };
        let read = tokio::task::spawn_blocking(move || Lock::read(&path)).await;
        read.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Gets the components. An error is a sentence.
    pub async fn fetch(&self, wanted: HashSet<Wanted>) -> HashMap<Wanted, Result<Fetched, String>> {
        if wanted.is_empty() {
            return HashMap::new();
        }
        let lock = self.read_lock().await;
        let lock = &lock;
        let fetch = |(reference, trust): Wanted| async move {
            let fetched = self.fetch_one(&reference, trust.as_deref(), lock).await;
            ((reference, trust), fetched)
        };
        let all = Vec::from_iter(wanted.into_iter().map(fetch));
        stream::iter(all).buffer_unordered(CONCURRENCY).collect().await
    }

    async fn fetch_one(
        &self,
        reference: &Reference,
        trust: Option<&TrustedKeys>,
        lock: &Result<Lock, String>,
    ) -> Result<Fetched, String> {
        let known = match reference.version() {
            Version::Digest(_) => None,
            _ => lock.as_ref().map_err(Clone::clone)?.pin(reference),
        };
        let manifest = match known {
            Some(pin) => pin.manifest,
            None => self
                .registries
                .resolve(reference)
                .await
                .map_err(|error| error.to_string())?,
        };
        let pulled = self.registries.pull(reference, manifest).await;
        let pulled = pulled.map_err(|error| error.to_string())?;
        let component = pulled.component;
        if let Some(known) = known.filter(|known| known.component != component) {
            return Err(format!(
                "portcullis.lock says that the component is {}, but its manifest says {component}: write the entry anew with \
                 `portcullis plugin pull --update {reference}`",
                known.component,
            ));
        }
        let is_new = known.is_none() && matches!(reference.version(), Version::Tag(_));
        let signer = match trust {
            None => None,
            Some(trust) => Some(self.signer(reference, manifest, &pulled.wasm, trust).await?),
        };
        Ok(Fetched {
            wasm: pulled.wasm,
            manifest,
            signer,
            new_pin: is_new.then_some(Pin { manifest, component }),
        })
    }

    /// Finds a signature of exactly these bytes by a trusted key: in the store, else in the registry.
    async fn signer(
        &self,
        reference: &Reference,
        manifest: Digest,
        wasm: &[u8],
        trust: &TrustedKeys,
    ) -> Result<Signer, String> {
        let stored = self.registries.stored_signatures(manifest).await;
        if let Ok((_, signer)) = first_good(stored, wasm, trust) {
            return Ok(signer);
        }
        let found = self.registries.signatures(reference, manifest).await;
        let found = found.map_err(|error| error.to_string())?;
        let (signature, signer) = first_good(found, wasm, trust)?;
        self.registries.store_signature(manifest, signature).await;
        Ok(signer)
    }
}

/// The first signature that is good. The error is about the first one.
fn first_good(signatures: Vec<Vec<u8>>, wasm: &[u8], trust: &TrustedKeys) -> Result<(Vec<u8>, Signer), String> {
    let mut first = None;
    for bytes in signatures {
        let verified = Signature::parse(&bytes).and_then(|signature| {
            trust.verify(wasm, &signature)?;
            Ok(signature.signer())
        });
        match verified {
            Ok(signer) => return Ok((bytes, signer)),
            Err(why) => _ = first.get_or_insert(why),
        }
    }
    let why = first.unwrap_or_else(|| "isn't there".to_owned());
    Err(format!("its signature in the registry {why}"))
}

async fn write(path: PathBuf, pins: BTreeMap<Reference, Pin>, replace: bool) -> Result<(), String> {
    let add = tokio::task::spawn_blocking(move || Lock::add(&path, &pins, replace));
    add.await.unwrap_or_else(|error| Err(error.to_string()))
}
