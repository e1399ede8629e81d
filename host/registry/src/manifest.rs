//! Manifests: what a registry knows of a component or of its signature, and the index of the manifests that refer to one.

use serde::Deserialize;
use serde::Serialize;

use crate::SIGNATURE_TYPE;
use crate::descriptor::DOCKER_LIST;
use crate::descriptor::Descriptor;
use crate::descriptor::OCI_INDEX;
use crate::descriptor::OCI_MANIFEST;
use crate::descriptor::WASM_LAYERS;
use crate::error::quoted;

/// A manifest of the OCI (OCI image specification, "Image Manifest").
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
}

impl Manifest {
    /// A manifest with one layer.
    pub(crate) fn new(config: Descriptor, layer: Descriptor) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers: vec![layer],
            subject: None,
        }
    }

    /// The one layer that is a component. The error is a sentence that says what the manifest is instead.
    pub(crate) fn component(bytes: &[u8]) -> Result<Descriptor, String> {
        let kind = serde_json::from_slice::<Kind>(bytes).map_err(|error| not_json(&error))?;
        let is_index = [OCI_INDEX, DOCKER_LIST]
            .iter()
            .any(|index| kind.media_type.as_deref() == Some(index));
        if is_index || kind.manifests.is_some() {
            return Err("it is an index of several manifests; name the digest of one of them".to_owned());
        }
        let manifest = serde_json::from_slice::<Self>(bytes).map_err(|error| not_json(&error))?;
        match <[Descriptor; 1]>::try_from(manifest.layers) {
            Ok([layer]) if WASM_LAYERS.contains(&layer.media_type.as_str()) => Ok(layer),
            Ok([layer]) => Err(format!(
                "its layer has the media type {}, and a component has application/wasm",
                quoted(&layer.media_type)
            )),
            Err(layers) => Err(format!("it has {} layers, and a component has one", layers.len())),
        }
    }

    /// The layer of a signature of the component whose manifest has this digest. `None` if this is something else.
    pub(crate) fn signature(bytes: &[u8], subject: &crate::Digest) -> Option<Descriptor> {
        let manifest = serde_json::from_slice::<Self>(bytes).ok()?;
        let is_of_subject = manifest.subject.is_some_and(|own| own.digest == *subject);
        let [layer] = <[Descriptor; 1]>::try_from(manifest.layers).ok()?;
        (is_of_subject && layer.media_type == SIGNATURE_TYPE).then_some(layer)
    }
}

fn not_json(error: &serde_json::Error) -> String {
    format!("its manifest can't be read: {}", quoted(&error.to_string()))
}

/// As much of a manifest as tells an index from others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// A list of manifests (OCI image specification, "Image Index").
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u8,
    #[serde(default = "Index::media_type")]
    pub(crate) media_type: String,
    pub(crate) manifests: Vec<Descriptor>,
}

impl Index {
    fn media_type() -> String {
        OCI_INDEX.to_owned()
    }

    /// An index of nothing.
    pub(crate) fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Self::media_type(),
            manifests: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(media_type: &str) -> serde_json::Value {
        serde_json::to_value(Descriptor::of(media_type, b"x")).unwrap()
    }

    #[test]
    fn a_manifest_has_one_layer_of_wasm() {
        let config = layer("application/vnd.wasm.config.v0+json");
        let manifest = |layers: &[&str]| {
            let layers = Vec::from_iter(layers.iter().map(|kind| layer(kind)));
            json!({"schemaVersion": 2, "config": config, "layers": layers})
        };
        for kind in WASM_LAYERS {
            let found = Manifest::component(manifest(&[kind]).to_string().as_bytes()).unwrap();
            assert_eq!((found.digest, found.size), (crate::Digest::of(b"x"), 1));
        }
        let mut wrong_digest = manifest(&["application/wasm"]);
        wrong_digest["layers"][0]["digest"] = json!("sha512:00");
        for (manifest, expected) in [
            (manifest(&[]), "it has 0 layers"),
            (manifest(&["application/wasm", "application/wasm"]), "it has 2 layers"),
            (
                manifest(&["application/vnd.oci.image.layer.v1.tar+gzip"]),
                "has the media type \"application/vnd.oci.image",
            ),
            (json!({"schemaVersion": 2, "manifests": []}), "is an index"),
            (json!({"schemaVersion": 2, "mediaType": OCI_INDEX}), "is an index"),
            (json!({"schemaVersion": 2, "mediaType": DOCKER_LIST}), "is an index"),
            (json!({"schemaVersion": 1, "fsLayers": []}), "can't be read"),
            (json!({"schemaVersion": 2, "config": config}), "can't be read"),
            (json!([]), "can't be read"),
            (json!("\u{1b}"), "can't be read"),
            (wrong_digest, "expected \\\"sha256:"),
        ] {
            let error = Manifest::component(manifest.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{manifest}: {error}");
        }
        for garbage in [&b""[..], b"\xff", b"{", b"null", &[b'['; 100_000]] {
            Manifest::component(garbage).unwrap_err();
        }
    }
    #[test]
    fn manifests_of_other_programs_are_read() {
        let digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        let layer = |media_type: &str, annotations: serde_json::Value| json!({"mediaType": media_type, "size": 1, "digest": digest, "annotations": annotations});
        let config = |media_type: &str| json!({"mediaType": media_type, "size": 2, "digest": digest});
        for (program, manifest) in [
            (
                "wkg 0.11",
                json!({
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "config": config("application/vnd.wasm.config.v0+json"),
                    "layers": [layer("application/wasm", json!(null))],
                    "annotations": {
                        "org.opencontainers.image.description": "Keys",
                        "org.opencontainers.image.version": "1.0.0",
                    },
                }),
            ),
            (
                "kwctl 1.20",
                json!({
                    "schemaVersion": 2,
                    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "config": config("application/vnd.wasm.config.v1+json"),
                    "layers": [layer("application/vnd.wasm.content.layer.v1+wasm", json!({}))],
                    "annotations": {
                        "io.kubewarden.policy.title": "keys",
                        "io.kubewarden.policy.ociUrl": "ghcr.io/kubewarden/policies/keys",
                    },
                }),
            ),
            (
                "wasm-to-oci 0.1",
                json!({
                    "schemaVersion": 2,
                    "config": config("application/vnd.wasm.config.v1+json"),
                    "layers": [layer(
                        "application/vnd.wasm.content.layer.v1+wasm",
                        json!({"org.opencontainers.image.title": "keys.wasm"}),
                    )],
                }),
            ),
            (
                "wash 0.2",
                json!({
                    "schemaVersion": 2,
                    "config": config("application/vnd.wasmcloud.actor.archive.config"),
                    "layers": [layer("application/vnd.module.wasm.content.layer.v1+wasm", json!(null))],
                }),
            ),
        ] {
            let found = Manifest::component(manifest.to_string().as_bytes());
            let found = found.unwrap_or_else(|why| panic!("{program}: {why}"));
            assert_eq!(found.digest.to_string(), digest, "{program}");
        }
    }
}
