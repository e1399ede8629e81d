//! A compiled plugin, ready to be given settings and grants. Several authenticators may share one.

mod compile;
mod digest;
mod inspect;

use std::fmt;

use self::compile::compile;
use self::inspect::Inspection;
use crate::contract::PluginPre;
use crate::engine::Engine;
use crate::sandbox::Instance;
use crate::sandbox::PluginError;
use crate::sandbox::State;
use crate::sandbox::Surroundings;

pub use self::digest::Digest;
pub use self::digest::DigestError;
pub use self::inspect::CONTRACT;
pub use self::inspect::LoadError;

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
    /// Reads and compiles a component, or takes it from the cache.
    ///
    /// It keeps a processor busy for tens of milliseconds to seconds: call it where blocking is fine.
    ///
    /// # Errors
    ///
    /// When the bytes are no component, or none that speaks this contract: [`LoadError`] says what they are.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self, LoadError> {
        let wasm = bytes.as_ref();
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
        let schema = Instance::settings_schema(&self.engine.shared().runtime, &self.pre).await?;
        match serde_json::from_str(&schema) {
            Ok(schema @ serde_json::Value::Object(_)) => Ok(schema),
            Ok(_) => Err(PluginError::output("the settings schema is no JSON object")),
            Err(_) => Err(PluginError::output("the settings schema is no JSON")),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A fresh instance, not configured yet. Its deadline starts to run.
    pub(crate) async fn start(&self, surroundings: &Surroundings) -> Result<Instance, PluginError> {
        Instance::start(&self.engine.shared().runtime, &self.pre, surroundings).await
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}
