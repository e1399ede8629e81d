//! Pushes a component in the form of the CNCF's wasm artifact, and its signature as a manifest that refers to it.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http::Method;
use http::StatusCode;
use http::Uri;
use http::header;
use serde_json::json;

use crate::SIGNATURE_TYPE;
use crate::descriptor::Descriptor;
use crate::descriptor::EMPTY;
use crate::descriptor::OCI_INDEX;
use crate::descriptor::OCI_MANIFEST;
use crate::descriptor::WASM;
use crate::descriptor::WASM_CONFIG;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::Index;
use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::reference::Version;
use crate::referrers::tag;
use crate::referrers::tagged;
use crate::registries::Registries;
use crate::session::Action;
use crate::session::Call;
use crate::session::Session;

/// How long the upload of one blob may take.
const UPLOAD: Duration = Duration::from_secs(600);

/// By this header a registry says that it lists the manifest among the referrers of its subject (OCI distribution specification,
/// "Pushing Manifests with Subject").
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What the configuration of a wasm artifact says of its component.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ComponentInfo {
    /// When it was made, as RFC 3339 writes it.
    pub created: String,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
}

impl ComponentInfo {
    /// `created` is when it was made, as RFC 3339 writes it.
    pub fn new(created: impl Into<String>) -> Self {
        Self {
            created: created.into(),
            ..Self::default()
        }
    }
}

/// What a registry has now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pushed {
    /// The digest of the component's manifest.
    pub manifest: Digest,
    /// The SHA-256 of the component.
    pub component: Digest,
}

impl Registries {
    /// Pushes a component to the repository and tag of a reference.
    ///
    /// # Errors
    ///
    /// Returns an error if the reference has no tag, or if the registry doesn't take it.
    pub async fn push(&self, reference: &Reference, wasm: Bytes, info: &ComponentInfo) -> Result<Pushed, Error> {
        let Version::Tag(tag) = reference.version() else {
            return Err(Error::NoComponent(
                "a push needs a tag, since the digest is that of what is pushed".to_owned(),
            ));
        };
        let session = &mut self.session(reference, Action::Push)?;
        let layer = Descriptor::of(WASM, &wasm);
        let config = json!({
            "created": info.created,
            "author": null,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer.digest.to_string()],
            "component": {"exports": info.exports, "imports": info.imports, "target": null},
        });
        let config = Bytes::from(config.to_string());
        let manifest = Manifest::new(Descriptor::of(WASM_CONFIG, &config), layer.clone());
        push_blob(session, wasm).await?;
        push_blob(session, config).await?;
        let bytes = json_of(&manifest)?;
        let manifest = Digest::of(&bytes);
        put_manifest(session, tag, OCI_MANIFEST, bytes).await?;
        Ok(Pushed {
            manifest,
            component: layer.digest,
        })
    }

    /// Pushes a signature of the component whose manifest has this digest and size in bytes. Returns the digest of the
    /// signature's manifest.
    ///
    /// # Errors
    ///
    /// Returns an error if the registry doesn't have the component, or doesn't take the signature.
    pub async fn push_signature(
        &self,
        reference: &Reference,
        subject: Digest,
        signature: Bytes,
    ) -> Result<Digest, Error> {
        let session = &mut self.session(reference, Action::Push)?;
        let signed = crate::component::manifest(session, &subject.to_string()).await?;
        let empty = Bytes::from_static(b"{}");
        let layer = Descriptor::of(SIGNATURE_TYPE, &signature);
        let manifest = Manifest {
            artifact_type: Some(SIGNATURE_TYPE.to_owned()),
            subject: Some(Descriptor {
                digest: subject,
                ..Descriptor::of(OCI_MANIFEST, &signed)
            }),
            ..Manifest::new(Descriptor::of(EMPTY, &empty), layer)
        };
        push_blob(session, signature).await?;
        push_blob(session, empty).await?;
        let bytes = json_of(&manifest)?;
        let descriptor = Descriptor {
            artifact_type: Some(SIGNATURE_TYPE.to_owned()),
            ..Descriptor::of(OCI_MANIFEST, &bytes)
        };
        let digest = descriptor.digest;
        let is_listed = put_manifest(session, &digest.to_string(), OCI_MANIFEST, bytes).await?;
        if !is_listed {
            list(session, subject, descriptor).await?;
        }
        Ok(digest)
    }
}

/// Adds a manifest to the referrers of another at the tag for them, since the registry doesn't list it itself.
async fn list(session: &mut Session, subject: Digest, descriptor: Descriptor) -> Result<(), Error> {
    let mut index = tagged(session, subject).await?.unwrap_or_else(Index::empty);
    index.manifests.retain(|known| known.digest != descriptor.digest);
    index.manifests.push(descriptor);
    put_manifest(session, &tag(subject), OCI_INDEX, json_of(&index)?).await?;
    Ok(())
}

fn json_of(value: &impl serde::Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(bytes.into())
}

/// Uploads a blob in one piece, unless it is there (OCI distribution specification, "POST then PUT").
async fn push_blob(session: &mut Session, bytes: Bytes) -> Result<(), Error> {
    let digest = Digest::of(&bytes);
    let known = session.uri(&format!("blobs/{digest}"))?;
    let known = session.call(Call::new(Method::HEAD, known, &[])).await?;
    if known.status() == StatusCode::OK {
        return Ok(());
    }
    let host = session.host().to_owned();
    let begin = session.uri("blobs/uploads/")?;
    let begun = session
        .call(Call::new(Method::POST, begin.clone(), &[(header::CONTENT_LENGTH, "0")]))
        .await?;
    let begun = session
        .expect(begun, &host, "an upload", &[StatusCode::ACCEPTED])
        .await?;
    let location = session.location(&begun, &begin)?;
    let separator = if location.query().is_some() { '&' } else { '?' };
    let uri: Uri = format!("{location}{separator}digest={digest}")
        .parse()
        .map_err(|_| Error::Internal("the address of an upload can't be extended".to_owned()))?;
    let put = Call {
        method: Method::PUT,
        uri,
        headers: &[(header::CONTENT_TYPE, "application/octet-stream")],
        body: bytes,
        limit: UPLOAD,
    };
    let put = session.call(put).await?;
    session.expect(put, &host, "an upload", &[StatusCode::CREATED]).await?;
    Ok(())
}

/// Puts a manifest. Returns whether the registry lists it among the referrers of its subject.
async fn put_manifest(session: &mut Session, version: &str, kind: &str, bytes: Bytes) -> Result<bool, Error> {
    let host = session.host().to_owned();
    let uri = session.uri(&format!("manifests/{version}"))?;
    let headers = [(header::CONTENT_TYPE, kind)];
    let put = Call {
        body: bytes,
        ..Call::new(Method::PUT, uri, &headers)
    };
    let put = session.call(put).await?;
    let put = session
        .expect(put, &host, "a manifest to be stored", &[StatusCode::CREATED])
        .await?;
    Ok(put.headers().contains_key(OCI_SUBJECT))
}
