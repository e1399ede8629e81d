//! Components from registries: which version is meant, the component itself, and its signature. What was pulled before comes
//! from the store, without a registry.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis_registry::Digest;
use portcullis_registry::Reference;
use portcullis_registry::Registries;
use portcullis_registry::Version;

use crate::config::Config;
use crate::config::Unpinned;
use crate::lock::Lock;
use crate::lock::Pin;
use crate::signature::Signature;
use crate::signature::Signer;
use crate::signature::TrustedKeys;

/// How many components are pulled at the same time.
const CONCURRENCY: usize = 4;

/// A component of a registry, and whose signature it needs.
pub(super) type Wanted = (Reference, Option<Arc<TrustedKeys>>);

/// Where components of registries come from.
#[derive(Debug)]
pub(super) struct Remote {
    registries: Registries,
    lock: PathBuf,
    unpinned: Unpinned,
}

/// A component that was pulled.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) wasm: Arc<[u8]>,
    /// Who signed it. `None` if no signature is required.
    pub(super) signer: Option<Signer>,
    /// The pin that the tag gets. `None` if it has one, or if a digest needs none.
    pub(super) new_pin: Option<Pin>,
}

/// What became of new pins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pinning {
    /// The lock has them.
    Written,
    /// They were left out, because the configuration is only looked at.
    Left,
}

impl Remote {
    /// The registries of this configuration, and the file with the pins.
    pub(super) fn new(config: &Config, lock: PathBuf, unpinned: Unpinned) -> Self {
        Self {
            registries: config.registries(),
            lock,
            unpinned,
        }
    }

    /// Writes new pins, if that is to be done. The error is a sentence.
    pub(super) async fn pin(&self, pins: BTreeMap<Reference, Pin>) -> Result<Pinning, String> {
        if pins.is_empty() || self.unpinned == Unpinned::Warn {
            return Ok(Pinning::Left);
        }
        let path = self.lock.clone();
        let added = tokio::task::spawn_blocking(move || Lock::add(&path, &pins, false)).await;
        added
            .unwrap_or_else(|error| Err(error.to_string()))
            .map(|()| Pinning::Written)
    }

    /// Gets the components. An error is a sentence.
    pub(super) async fn fetch(&self, wanted: HashSet<Wanted>) -> HashMap<Wanted, Result<Fetched, String>> {
        if wanted.is_empty() {
            return HashMap::new();
        }
        let path = self.lock.clone();
        let lock = tokio::task::spawn_blocking(move || Lock::read(&path)).await;
        let lock = lock.unwrap_or_else(|error| Err(error.to_string()));
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
                "{} says that the component is {}, but its manifest says {component}: write the entry anew with \
                 `portcullis plugin pull --update {reference}`",
                self.lock.display(),
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
