//! A compiled plugin, ready to be given settings and grants. Several authenticators may share one.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

use super::Engine;
use super::LoadError;
use super::compile::compile;
use super::inspect::Inspection;
use crate::sandbox::PluginError;
use crate::contract::PluginPre;
use crate::sandbox::Instance;
use crate::sandbox::State;

/// A compiled component that speaks the contract. A clone is the same component.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    pre: PluginPre<State>,
    digest: Digest,
    size: usize,
    contract: String,
    imports: Vec<String>,
}

impl Component {
    pub(super) fn load(engine: &Engine, wasm: &[u8]) -> Result<Self, LoadError> {
        let Inspection { contract, imports } = Inspection::of(wasm)?;
        let digest = Digest::of(wasm);
        let shared = engine.shared();
        let compiled = compile(shared, &digest, wasm).map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        let pre = shared.linker.instantiate_pre(&compiled).and_then(PluginPre::new);
        let pre = pre.map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
        Ok(Self {
            engine: engine.clone(),
            pre,
            digest,
            size: wasm.len(),
            contract,
            imports,
        })
    }

    /// SHA-256 of the component's bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The component's size in bytes, before it was compiled.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The contract that it speaks: `portcullis:auth@0.1.0`.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The interfaces that it imports, by name and version.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The JSON Schema of its settings, in the plugin's own words.
    ///
    /// # Errors
    ///
    /// When the plugin fails, or what it says is no JSON object.
    pub async fn settings_schema(&self) -> Result<serde_json::Value, PluginError> {
        let schema = Instance::settings_schema(self).await?;
        match serde_json::from_str(&schema) {
            Ok(schema @ serde_json::Value::Object(_)) => Ok(schema),
            Ok(_) => Err(PluginError::output("the settings schema is no JSON object")),
            Err(_) => Err(PluginError::output("the settings schema is no JSON")),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn pre(&self) -> &PluginPre<State> {
        &self.pre
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// SHA-256 of a component's bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(sum)
    }

    /// The digest as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut sum = [0; 32];
        hex::decode_to_slice(text.strip_prefix("sha256:").unwrap_or(text), &mut sum).map_err(|_| DigestError(()))?;
        Ok(Self(sum))
    }
}

/// A text is no SHA-256 digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DigestError(());

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("expected 64 hexadecimal digits")
    }
}

impl std::error::Error for DigestError {}
