//! Pulls a component: from the store if it is there, else from the registry or one of its mirrors.

use bytes::Bytes;
use http::header;

use crate::MAX_COMPONENT;
use crate::descriptor::DOCKER_LIST;
use crate::descriptor::DOCKER_MANIFEST;
use crate::descriptor::Descriptor;
use crate::descriptor::OCI_INDEX;
use crate::descriptor::OCI_MANIFEST;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::reference::Version;
use crate::registries::Registries;
use crate::session::Session;

/// The maximum size of a manifest, in bytes. Registries must accept 4 MiB (OCI distribution specification, "Pushing
/// Manifests").
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

/// The manifests that are asked for. Indexes are among them, so that the error can say that it is one.
fn accepted() -> String {
    [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST].join(", ")
}

/// A component from a registry or from the store.
#[derive(Clone)]
#[non_exhaustive]
pub struct Pulled {
    /// The digest of its manifest, which a reference can name.
    pub manifest: Digest,
    /// The SHA-256 of the component.
    pub component: Digest,
    /// The component.
    pub wasm: Bytes,
}

impl std::fmt::Debug for Pulled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulled")
            .field("manifest", &self.manifest)
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}

impl Registries {
    /// The digest of the manifest that a reference names. For a tag, the registry is asked.
    ///
    /// # Errors
    ///
    /// Returns an error if the registry can't be asked in time, or if the tag doesn't name a component.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, Error> {
        let tag = match reference.version() {
            Version::Digest(digest) => return Ok(*digest),
            Version::Tag(tag) => tag,
        };
        let resolve = self.ask(reference, |mut session| async move {
            let bytes = manifest(&mut session, tag).await?;
            Manifest::component(&bytes).map_err(Error::NoComponent)?;
            Ok(bytes)
        });
        let bytes = self.in_time(reference, "a pull", resolve).await?;
        let digest = Digest::of(&bytes);
        self.kept(bytes).await;
        Ok(digest)
    }

    /// Pulls the component whose manifest has this digest, from the repository of a reference. What the store has isn't
    /// pulled again.
    ///
    /// # Errors
    ///
    /// Returns an error if the store doesn't have it, and the registry can't be asked in time or has something else.
    pub async fn pull(&self, reference: &Reference, digest: Digest) -> Result<Pulled, Error> {
        self.in_time(reference, "a pull", self.pull_in_time(reference, digest))
            .await
    }

    async fn pull_in_time(&self, reference: &Reference, digest: Digest) -> Result<Pulled, Error> {
        let bytes = match self.stored(digest, MAX_MANIFEST).await {
            Some(bytes) => bytes,
            None => {
                let ask = self.ask(reference, |mut session| async move {
                    let bytes = manifest(&mut session, &digest.to_string()).await?;
                    verified(&session, "a manifest", bytes, &digest)
                });
                self.kept(ask.await?).await
            }
        };
        let layer = Manifest::component(&bytes).map_err(Error::NoComponent)?;
        if layer.size > MAX_COMPONENT {
            return Err(Error::NoComponent(format!(
                "it has {} bytes, and a component has at most {MAX_COMPONENT}",
                layer.size
            )));
        }
        let wasm = match self.stored(layer.digest, layer.size).await {
            Some(wasm) => wasm,
            None => {
                let wanted = &layer;
                let ask = self.ask(reference, |mut session| async move {
                    blob(&mut session, "a component", wanted).await
                });
                self.kept(ask.await?).await
            }
        };
        Ok(Pulled {
            manifest: digest,
            component: layer.digest,
            wasm,
        })
    }

    /// Reads from the store, on a thread that may wait.
    async fn stored(&self, digest: Digest, limit: u64) -> Option<Bytes> {
        let store = self.store()?.clone();
        let read = tokio::task::spawn_blocking(move || store.read(&digest, limit).map(Bytes::from));
        read.await.ok().flatten()
    }

    /// Stores content for later. Without it, everything works as long as the registry does.
    async fn kept(&self, bytes: Vec<u8>) -> Bytes {
        let bytes = Bytes::from(bytes);
        let Some(store) = self.store().cloned() else {
            return bytes;
        };
        let moved = bytes.clone();
        let written = tokio::task::spawn_blocking(move || {
            store.write(&moved).map_err(|error| (store.folder().to_owned(), error))
        });
        if let Ok(Err((folder, error))) = written.await {
            tracing::warn!(
                folder = %folder.display(), %error,
                "what was pulled can't be stored, so that the next start needs the registry"
            );
        }
        bytes
    }
}

/// Gets a manifest by its tag or digest.
pub(crate) async fn manifest(session: &mut Session, version: &str) -> Result<Vec<u8>, Error> {
    let uri = session.uri(&format!("manifests/{version}"))?;
    session
        .get(uri, &[(header::ACCEPT, &accepted())], "a manifest", MAX_MANIFEST)
        .await
}

/// Gets a blob, which must be what its descriptor says.
pub(crate) async fn blob(session: &mut Session, what: &'static str, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let uri = session.uri(&format!("blobs/{}", descriptor.digest))?;
    let bytes = session.get(uri, &[], what, descriptor.size).await?;
    verified(session, what, bytes, &descriptor.digest)
}

fn verified(session: &Session, what: &'static str, bytes: Vec<u8>, expected: &Digest) -> Result<Vec<u8>, Error> {
    let found = Digest::of(&bytes);
    if found != *expected {
        return Err(Error::DigestMismatch {
            host: session.host().to_owned(),
            what,
            expected: *expected,
            found,
        });
    }
    Ok(bytes)
}
