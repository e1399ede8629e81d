//! A compiled WebAssembly component that implements the contract. Plugins with different settings can share one.

mod bytes;
mod compile;
mod digest;
mod inspect;
mod manifest;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use wasmtime::component::types::ComponentItem;

use self::compile::compile;
use self::inspect::Inspection;
use self::snapshot::Snapshots;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::role::Role;
use crate::sandbox::Instance;
use crate::sandbox::InstanceConfig;
use crate::sandbox::PluginError;
use crate::sandbox::PluginPre;
use crate::sandbox::link;

pub use self::bytes::ComponentBytes;
pub use self::digest::Digest;
pub use self::digest::DigestError;
pub use self::inspect::CONTRACT;
pub use self::inspect::LoadError;
pub use self::manifest::MANIFEST_SECTION;
pub use self::manifest::MAX_MANIFEST;
pub use self::manifest::Manifest;
pub use self::manifest::ManifestError;
pub(crate) use self::snapshot::Snapshot;

/// How long a plugin may take to say what its settings are.
const SCHEMA_TIME: Duration = Duration::from_secs(10);

/// A compiled component that implements the contract. A clone is the same component.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    pre: PluginPre,
    wasm: ComponentBytes,
    snapshots: Arc<Snapshots>,
    contract: String,
    roles: Vec<Role>,
    exports: Vec<String>,
    imports: Vec<String>,
    manifest: Option<Arc<Manifest>>,
    asks_for_path: bool,
}

impl Component {
    /// Compiles a component, or loads the compiled code from the engine's cache.
    ///
    /// Compilation takes between tens of milliseconds and a few seconds of CPU time: call it on a thread that may
    /// block.
    ///
    /// # Errors
    ///
    /// Returns a [`LoadError`] if the bytes are not a component, or not one that implements this contract.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self, LoadError> {
        Self::of(engine, ComponentBytes::new(Bytes::copy_from_slice(bytes.as_ref())))
    }

    /// Compiles a component whose bytes are hashed already, as [`Component::new`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Component::new`].
    pub fn of(engine: &Engine, wasm: ComponentBytes) -> Result<Self, LoadError> {
        let Inspection {
            contract,
            roles,
            exports,
            imports,
            manifest,
        } = Inspection::of(wasm.as_ref())?;
        let shared = engine.shared();
        let compiled = compile(shared, &wasm).map_err(|error| LoadError::of_compilation(&error, wasm.as_ref()))?;
        let asks_for_path = imports_path(&compiled, shared.linker.engine());
        let pre = link(&shared.linker, &compiled).and_then(|pre| PluginPre::new(pre, &roles));
        let pre = pre.map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
        Ok(Self {
            engine: engine.clone(),
            pre,
            wasm,
            snapshots: Arc::default(),
            contract,
            roles,
            exports,
            imports,
            manifest: manifest.map(Arc::new),
            asks_for_path,
        })
    }

    /// The SHA-256 of the component's bytes.
    pub fn digest(&self) -> &Digest {
        self.wasm.digest()
    }

    /// The size of the component in bytes, before compilation.
    pub fn size(&self) -> usize {
        self.wasm.as_ref().len()
    }

    /// The contract that it implements: `portcullis:auth@0.2.0`.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The role in which a component with these bytes is asked about requests, [`Role::Authenticator`] or [`Role::Authorizer`], by
    /// what it exports. It isn't compiled.
    ///
    /// # Errors
    ///
    /// Returns a [`LoadError`] if the bytes are not a component, or not one that implements this contract.
    pub fn role_of(bytes: &[u8]) -> Result<Role, LoadError> {
        Ok(main_role(&Inspection::of(bytes)?.roles))
    }

    /// The role in which it is asked about requests: [`Role::Authenticator`] or [`Role::Authorizer`].
    pub fn role(&self) -> Role {
        main_role(&self.roles)
    }

    /// What it is for: one role or several.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether it logs people in with a browser.
    pub(crate) fn is_login(&self) -> bool {
        self.roles.contains(&Role::Login)
    }

    /// What it says of itself. `None` if it has no manifest.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_deref()
    }

    /// The interfaces that it exports, with their versions.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// The interfaces that it imports, with their versions.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether it imports the function that returns the path of a request.
    pub fn asks_for_path(&self) -> bool {
        self.asks_for_path
    }

    /// Calls the plugin for the JSON Schema of its settings. It may use this much memory, in bytes, as
    /// [`Limits::memory`](crate::Limits::memory) says for other calls.
    ///
    /// # Errors
    ///
    /// Returns an error if the plugin fails, or if its answer is not a JSON object.
    pub async fn settings_schema(&self, memory: usize) -> Result<serde_json::Value, PluginError> {
        self.settings_schema_within(memory, SCHEMA_TIME).await
    }

    /// The schema, asked for under the limits of an authenticator. They may give it more time, but never less: the deadline of
    /// a request may be short.
    pub(crate) async fn settings_schema_under(&self, limits: &Limits) -> Result<serde_json::Value, PluginError> {
        self.settings_schema_with_at_least(limits, SCHEMA_TIME).await
    }

    async fn settings_schema_with_at_least(
        &self,
        limits: &Limits,
        least: Duration,
    ) -> Result<serde_json::Value, PluginError> {
        self.settings_schema_within(limits.memory, limits.deadline.max(least))
            .await
    }

    async fn settings_schema_within(
        &self,
        memory: usize,
        deadline: Duration,
    ) -> Result<serde_json::Value, PluginError> {
        let runtime = &self.engine.shared().runtime;
        let schema = Instance::settings_schema(runtime, &self.pre, memory, deadline).await?;
        match serde_json::from_str(&schema) {
            Ok(schema @ serde_json::Value::Object(_)) => Ok(schema),
            Ok(_) => Err(PluginError::output("the settings schema is no JSON object")),
            Err(_) => Err(PluginError::output("the settings schema is no JSON")),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Starts an instance, which is not configured yet. Its deadline starts now.
    pub(crate) async fn start(&self, config: &InstanceConfig) -> Result<Instance, PluginError> {
        Instance::start(&self.engine.shared().runtime, &self.pre, config).await
    }
}

/// A component has one role in which it is asked about requests.
fn main_role(roles: &[Role]) -> Role {
    match roles.contains(&Role::Authorizer) {
        true => Role::Authorizer,
        false => Role::Authenticator,
    }
}

fn imports_path(compiled: &wasmtime::component::Component, engine: &wasmtime::Engine) -> bool {
    let component = compiled.component_type();
    component.imports(engine).any(|(_, import)| match import.ty {
        ComponentItem::ComponentInstance(interface) => interface.get_export(engine, PATH).is_some(),
        _ => false,
    })
}

/// The function `path` of the contract's resource `request`.
const PATH: &str = "[method]request.path";

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("digest", self.digest())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Row H2 of the field reports: the operator's deadline holds for the call that asks for the schema, too. A deadline is
    /// noticed at the end of an epoch, so that many calls are needed until one meets its own.
    #[tokio::test]
    async fn the_schema_may_take_as_long_as_the_longer_of_two_deadlines() {
        const LONG: Duration = Duration::from_secs(60);
        let engine = Engine::builder().build().unwrap();
        let component = Component::new(&engine, portcullis_plugins::find("simple").unwrap()).unwrap();
        let is_stopped = async |deadline, least, calls: usize, longest| {
            let limits = Limits {
                deadline,
                ..Limits::default()
            };
            let begun = Instant::now();
            for number in 0.. {
                match component.settings_schema_with_at_least(&limits, least).await {
                    Err(PluginError::Deadline) => return Some(number),
                    schema => assert!(schema.is_ok(), "{schema:?}"),
                }
                if number >= calls && begun.elapsed() > longest {
                    break;
                }
            }
            None
        };
        let calls = is_stopped(Duration::ZERO, Duration::ZERO, 0, LONG).await;
        let calls = calls.expect("no call was stopped");
        let epochs = Duration::from_millis(100);
        assert_eq!(is_stopped(LONG, Duration::ZERO, 3 * calls, epochs).await, None);
        assert_eq!(is_stopped(Duration::ZERO, LONG, 3 * calls, epochs).await, None);
    }
}
