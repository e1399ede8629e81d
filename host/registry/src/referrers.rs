//! Signatures of components: manifests that refer to the manifest of a component. They are found by the referrers API, or by
//! a tag if a registry has no such API (OCI distribution specification, "Listing Referrers").

use http::StatusCode;
use http::header;

use crate::MAX_SIGNATURE;
use crate::SIGNATURE_TYPE;
use crate::component::MAX_MANIFEST;
use crate::component::blob;
use crate::component::manifest;
use crate::descriptor::Descriptor;
use crate::descriptor::OCI_INDEX;
use crate::digest::Digest;
use crate::error::Error;
use crate::error::quoted;
use crate::manifest::Index;
use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::registries::Registries;
use crate::session::Call;
use crate::session::Session;
use crate::store::MAX_SIGNATURES;

impl Registries {
    /// The signatures that the store has of the component whose manifest has this digest. They aren't verified.
    pub async fn stored_signatures(&self, manifest: Digest) -> Vec<Vec<u8>> {
        let Some(store) = self.store().cloned() else {
            return Vec::new();
        };
        let read = tokio::task::spawn_blocking(move || store.signatures(&manifest));
        read.await.unwrap_or_default()
    }

    /// Keeps a signature for later starts. Only one that was verified is worth keeping.
    pub async fn store_signature(&self, manifest: Digest, signature: Vec<u8>) {
        let Some(store) = self.store().cloned() else { return };
        let written = tokio::task::spawn_blocking(move || store.write_signature(&manifest, &signature));
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "a signature can't be stored, so that the next start needs the registry");
        }
    }

    /// Asks the registry for the signatures of the component whose manifest has this digest. They aren't verified.
    ///
    /// # Errors
    ///
    /// Returns an error if the registry can't be asked in time, or has no signature of it.
    pub async fn signatures(&self, reference: &Reference, subject: Digest) -> Result<Vec<Vec<u8>>, Error> {
        let ask = self.ask(reference, |mut session| async move {
            signatures(&mut session, subject).await
        });
        self.in_time(reference, "the search for a signature", ask).await
    }
}

async fn signatures(session: &mut Session, subject: Digest) -> Result<Vec<Vec<u8>>, Error> {
    let mut found = Vec::new();
    let listed = referrers(session, subject).await?.unwrap_or_else(Index::empty);
    let of_signatures = listed.manifests.iter();
    let of_signatures = of_signatures.filter(|descriptor| descriptor.artifact_type.as_deref() == Some(SIGNATURE_TYPE));
    // The newest is usually the last.
    for descriptor in of_signatures.rev().take(MAX_SIGNATURES) {
        let bytes = manifest(session, &descriptor.digest.to_string()).await?;
        let Some(layer) = Manifest::signature(&bytes, &subject) else {
            continue;
        };
        let layer = Descriptor {
            size: layer.size.min(MAX_SIGNATURE),
            ..layer
        };
        found.push(blob(session, "a signature", &layer).await?);
    }
    if found.is_empty() {
        return Err(Error::NotFound {
            host: session.host().to_owned(),
            what: "a signature of it".to_owned(),
        });
    }
    Ok(found)
}

/// The most parts of a list of referrers. Every one may have 4 MiB, so that a registry which has more is broken or hostile.
const MAX_PAGES: usize = 32;

/// The manifests that refer to another one. `None` if the registry knows of none.
async fn referrers(session: &mut Session, subject: Digest) -> Result<Option<Index>, Error> {
    let mut uri = session.uri(&format!("referrers/{subject}?artifactType={SIGNATURE_TYPE}"))?;
    let headers = [(header::ACCEPT, OCI_INDEX)];
    let mut found = Index::empty();
    for page in 0..MAX_PAGES {
        let listed = match session.page(uri, &headers, LIST, MAX_MANIFEST).await {
            Err(Error::NotFound { .. }) if page == 0 => return tagged(session, subject).await,
            listed => listed?,
        };
        let manifests = index(session, &listed.bytes)?.manifests;
        // What else refers to it isn't kept: registries need not filter the list (OCI distribution specification, "Listing Referrers").
        let is_signature = |descriptor: &Descriptor| descriptor.artifact_type.as_deref() == Some(SIGNATURE_TYPE);
        found.manifests.extend(manifests.into_iter().filter(is_signature));
        match listed.next {
            Some(next) => uri = next?,
            None => return Ok(Some(found)),
        }
    }
    Err(Error::Malformed {
        host: session.host().to_owned(),
        what: LIST,
        why: format!("it has more than {MAX_PAGES} parts"),
    })
}

/// What is asked for, in errors.
const LIST: &str = "a list of signatures";

/// What a registry without the API has at the tag for referrers.
pub(crate) async fn tagged(session: &mut Session, subject: Digest) -> Result<Option<Index>, Error> {
    let uri = session.uri(&format!("manifests/{}", tag(subject)))?;
    let headers = [(header::ACCEPT, OCI_INDEX)];
    let response = session
        .call(Call::new(http::Method::HEAD, uri.clone(), &headers))
        .await?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let bytes = session.get(uri, &headers, LIST, MAX_MANIFEST).await?;
    index(session, &bytes).map(Some)
}

/// The tag for the referrers of a manifest (OCI distribution specification, "Referrers Tag Schema").
pub(crate) fn tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

fn index(session: &Session, bytes: &[u8]) -> Result<Index, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Malformed {
        host: session.host().to_owned(),
        what: LIST,
        why: quoted(&error.to_string()),
    })
}
