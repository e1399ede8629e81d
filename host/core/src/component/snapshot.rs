//! Copies of configured instances, made once for all authenticators with the same settings. They hold the settings, secrets
//! included, so they are kept in memory only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::Duration;

use wasmtime_wizer::Wizer;

use super::Component;
use super::Digest;
use crate::egress::Egress;
use crate::engine::Draft;
use crate::engine::Inner;
use crate::sandbox::Instance;
use crate::sandbox::InstanceConfig;
use crate::sandbox::NoSnapshot;
use crate::sandbox::PluginError;
use crate::sandbox::PluginPre;
use crate::sandbox::Share;
use crate::sandbox::link;
use crate::sandbox::snapshot;

/// A component whose instances are configured from the start.
pub(crate) struct Snapshot {
    pre: PluginPre,
    size: usize,
    /// Its part of the memory for snapshots.
    _share: Share,
}

impl Snapshot {
    /// Starts a configured instance. Its deadline starts now.
    pub(crate) async fn start(&self, engine: &Inner, config: &InstanceConfig) -> Result<Instance, PluginError> {
        Instance::start(&engine.runtime, &self.pre, config).await
    }

    /// About how many bytes of memory it takes.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }
}

/// The snapshots of a component that are in use, by the digest of what they depend on.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<HashMap<Digest, Weak<Snapshot>>>);

impl Snapshots {
    fn find(&self, key: &Digest) -> Option<Arc<Snapshot>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key)?.upgrade()
    }

    fn keep(&self, key: Digest, snapshot: &Arc<Snapshot>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, snapshot| snapshot.strong_count() > 0);
        known.insert(key, Arc::downgrade(snapshot));
    }
}

/// How many bytes of memory the compiler takes for each byte of WebAssembly, as measured with a component of 13 MB.
const COMPILING: usize = 40;

/// How long the plugin may take to configure itself and to be read, in code that is compiled quickly instead of well.
const DEADLINE: Duration = Duration::from_secs(30);

impl Component {
    /// Configures an instance with these settings and makes a snapshot of it, unless there is one. That takes seconds: call
    /// it in the background.
    pub(crate) fn snapshot(&self, settings: &str, config: &InstanceConfig) -> Result<Arc<Snapshot>, NoSnapshot> {
        // Whether an instance can be configured also depends on its memory.
        let key = Digest::of(format!("{} {settings}", config.limits.memory).as_bytes());
        if let Some(snapshot) = self.snapshots.find(&key) {
            return Ok(snapshot);
        }
        let mut working = Share::of(Arc::clone(&self.engine.shared().snapshots));
        if !working.take(COMPILING.saturating_mul(self.size())) {
            return Err(NoSnapshot::TooLarge);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| NoSnapshot::Unsupported(error.to_string()))?;
        let wasm = runtime.block_on(self.configured(settings, config, &mut working))?;
        let snapshot = Arc::new(self.compile_snapshot(&wasm, working)?);
        // Now it shows whether an instance has memory enough, for example.
        runtime.block_on(snapshot.start(self.engine.shared(), &for_snapshot(config)))?;
        self.snapshots.keep(key, &snapshot);
        Ok(snapshot)
    }

    /// The WebAssembly of the snapshot.
    async fn configured(
        &self,
        settings: &str,
        config: &InstanceConfig,
        working: &mut Share,
    ) -> Result<Vec<u8>, NoSnapshot> {
        let unsupported = |error| NoSnapshot::unsupported(&error);
        let wizer = Wizer::new();
        let (context, instrumented) = wizer.instrument_component(self.wasm.as_ref()).map_err(unsupported)?;
        let draft = Draft::new(self.engine.shared()).map_err(unsupported)?;
        let compiled = wasmtime::component::Component::from_binary(&draft.runtime.wasmtime, &instrumented);
        let compiled = compiled.map_err(unsupported)?;
        let instrumented = link(&draft.linker, &compiled).map_err(unsupported)?;
        let config = InstanceConfig {
            processors: draft.runtime.scheduler.share(),
            ..for_snapshot(config)
        };
        snapshot(
            &draft.runtime,
            (&wizer, &context),
            &instrumented,
            config,
            settings,
            working,
        )
        .await
    }

    fn compile_snapshot(&self, wasm: &[u8], working: Share) -> Result<Snapshot, NoSnapshot> {
        let unsupported = |error| NoSnapshot::unsupported(&error);
        let shared = self.engine.shared();
        let compiled = wasmtime::component::Component::from_binary(&shared.runtime.wasmtime, wasm);
        let compiled = compiled.map_err(unsupported)?;
        let code = compiled.image_range();
        let size = code.end as usize - code.start as usize;
        drop(working);
        let mut share = Share::of(Arc::clone(&shared.snapshots));
        if !share.take(size) {
            return Err(NoSnapshot::TooLarge);
        }
        let pre = link(&shared.linker, &compiled).and_then(|pre| PluginPre::new(pre, self.roles()));
        Ok(Snapshot {
            pre: pre.map_err(unsupported)?,
            size,
            _share: share,
        })
    }
}

/// The configuration of an instance that only configures itself: it reaches nothing.
fn for_snapshot(config: &InstanceConfig) -> InstanceConfig {
    let mut config = config.clone();
    config.limits.deadline = DEADLINE;
    config.cache = None;
    config.egress = Egress::closed();
    config.negotiator = None;
    config.signing_keys = Arc::default();
    config
}
