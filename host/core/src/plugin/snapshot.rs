//! A plugin that is called often is configured once: its configured state is copied in the background, and from then on each
//! call begins with a copy. Until then, and if it can't be copied, each call configures an instance of its own.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use super::ConfiguredPlugin;
use super::Inner;
use crate::component::Snapshot;
use crate::sandbox::Instance;
use crate::sandbox::NoSnapshot;

/// The calls after which the copy is made. It takes as much time of a processor as some ten thousand configurations, and
/// memory, so a plugin that is hardly called gets none.
const CALLS: u32 = 1000;

/// How long their configurations take together at most until it is made. Some plugins parse much.
const TIME: Duration = Duration::from_secs(1);

/// The copy, once there is one.
#[derive(Default)]
pub(super) struct ConfiguredCopy {
    snapshot: OnceLock<Arc<Snapshot>>,
    calls: AtomicU32,
    /// How long the configurations have taken, in microseconds.
    time: AtomicU64,
    /// Whether the copy is made, or has been tried to.
    is_begun: AtomicBool,
}

impl ConfiguredCopy {
    /// Counts a configuration. Returns whether there were enough, once.
    fn is_due(&self, took: Duration) -> bool {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let before = self.time.fetch_add(took, Ordering::Relaxed);
        let is_due = calls >= CALLS || u128::from(before.saturating_add(took)) >= TIME.as_micros();
        is_due && !self.is_begun.swap(true, Ordering::Relaxed)
    }
}

impl ConfiguredPlugin {
    /// The copy to begin a call with. `None` if the call has to configure an instance.
    pub(super) fn copy(&self) -> Option<&Arc<Snapshot>> {
        self.0.copy.snapshot.get()
    }

    /// Counts an instance that a call has configured in this time, and makes the copy when there were enough. An instance that
    /// can't be copied shows that before the work is done.
    pub(super) fn configured_another(&self, instance: &Instance, took: Duration) {
        if !self.0.copy.is_due(took) {
            return;
        }
        if let Err(why) = instance.can_be_copied() {
            return self.0.cant_be_copied(&why);
        }
        let plugin = Arc::downgrade(&self.0);
        self.0.component.engine().shared().background.run(move || {
            if let Some(plugin) = plugin.upgrade() {
                plugin.make_copy();
            }
        });
    }
}

impl ConfiguredPlugin {
    /// Makes the copy, however few calls there were. Returns its size in bytes.
    pub(crate) fn copy_now(&self) -> Result<usize, NoSnapshot> {
        let snapshot = self.0.component.snapshot(&self.0.settings, &self.0.config)?;
        Ok(self.0.copy.snapshot.get_or_init(|| snapshot).size())
    }
}

impl Inner {
    fn make_copy(&self) {
        let start = Instant::now();
        match self.component.snapshot(&self.settings, &self.config) {
            Ok(snapshot) => {
                tracing::info!(
                    authenticator = self.config.name.authenticator(),
                    authorizer = self.config.name.authorizer(),
                    bytes = snapshot.size(),
                    elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "each call begins with a configured copy of the plugin"
                );
                self.copy.snapshot.get_or_init(|| snapshot);
            }
            Err(why) => self.cant_be_copied(&why),
        }
    }

    fn cant_be_copied(&self, why: &NoSnapshot) {
        tracing::info!(
                   authenticator = self.config.name.authenticator(),
        authorizer = self.config.name.authorizer(),
                   %why,
                   "each call configures the plugin, because it can't be copied"
               );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::component::Component;
    use crate::engine::Engine;
    use crate::engine::EngineBuilder;
    use crate::limits::Limits;
    use crate::plugin::PluginConfig;
    use crate::role::Role;
    use crate::sandbox::Share;

    fn simple(engine: EngineBuilder) -> Component {
        let wasm = portcullis_plugins::find("simple").unwrap();
        Component::new(&engine.build().unwrap(), wasm).unwrap()
    }

    async fn configured(component: &Component, password: &str, memory: usize) -> ConfiguredPlugin {
        with_settings(component, json!({ "password": password }), memory).await
    }

    async fn with_settings(component: &Component, settings: serde_json::Value, memory: usize) -> ConfiguredPlugin {
        let config = PluginConfig {
            settings,
            limits: Limits {
                memory,
                ..Limits::default()
            },
            ..PluginConfig::new("simple", Role::Authenticator, component)
        };
        config.configure().await.unwrap()
    }

    fn copied(plugin: &ConfiguredPlugin) -> Option<Arc<Snapshot>> {
        plugin.0.make_copy();
        plugin.0.copy.snapshot.get().cloned()
    }

    #[test]
    fn a_copy_is_due_once_after_many_configurations_or_long_ones() {
        let due = |took: Duration, calls: usize| {
            let copy = ConfiguredCopy::default();
            let due = (1..=calls).filter(|_| copy.is_due(took));
            due.collect::<Vec<_>>()
        };
        assert_eq!(due(Duration::from_micros(50), 2000), [1001]);
        assert_eq!(due(Duration::from_millis(30), 2000), [34]);
        assert_eq!(due(Duration::from_secs(3), 2000), [1]);
        assert!(due(Duration::from_micros(50), 1000).is_empty());
        assert_eq!(due(Duration::MAX, 3), [1]);
    }

    #[tokio::test]
    async fn authenticators_with_the_same_settings_share_a_copy() {
        let component = simple(Engine::builder());
        let one = configured(&component, "a", 16 << 20).await;
        let twin = configured(&component, "a", 16 << 20).await;
        let others = [
            configured(&component, "b", 16 << 20).await,
            configured(&component, "a", 32 << 20).await,
        ];
        let in_background = std::thread::spawn(move || {
            let copy = copied(&one).unwrap();
            assert!(Arc::ptr_eq(&copy, &copied(&twin).unwrap()));
            for other in &others {
                assert!(!Arc::ptr_eq(&copy, &copied(other).unwrap()));
            }
        });
        in_background.join().unwrap();
    }

    /// Copies hold the settings, secrets included.
    #[tokio::test]
    async fn no_secret_of_a_copy_is_written_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let component = simple(Engine::builder().cache_directory(folder.path()));
        let plugin = configured(&component, "correct horse battery staple", 16 << 20).await;
        let made = std::thread::spawn(move || copied(&plugin).is_some());
        assert!(made.join().unwrap());
        let files: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "the component, not its copy: {files:?}");
        assert!(!contains(&files[0], b"correct horse battery staple"));
    }

    fn contains(file: &Path, secret: &[u8]) -> bool {
        fs::read(file)
            .unwrap()
            .windows(secret.len())
            .any(|bytes| bytes == secret)
    }

    #[tokio::test]
    async fn copies_are_made_only_while_there_is_memory_for_them() {
        const MEMORY: usize = 64 << 20;
        let component = simple(Engine::builder().memory(4 * MEMORY));
        let plugin = configured(&component, "a", 16 << 20).await;
        let made = std::thread::spawn(move || {
            let snapshots = &component.engine().shared().snapshots;
            let mut others = Share::of(Arc::clone(snapshots));
            assert!(others.take(MEMORY - (1 << 20)));
            let refused = copied(&plugin).is_none();
            drop(others);
            let size = copied(&plugin).map(|copy| copy.size());
            let left = Share::of(Arc::clone(snapshots)).take(MEMORY - size.unwrap_or_default());
            let more = Share::of(Arc::clone(snapshots)).take(MEMORY - size.unwrap_or_default() + 1);
            (refused, size.is_some(), left, more)
        });
        assert_eq!(made.join().unwrap(), (true, true, true, false));
    }

    #[tokio::test]
    async fn the_built_in_plugins_can_be_copied() {
        let engine = Engine::builder().build().unwrap();
        let key = json!({ "issuer": "https://id.example", "audiences": ["a"], "jwks_url": "https://id.example/keys" });
        for (name, settings) in [
            ("simple", json!({})),
            ("jwt", json!({ "issuers": [key] })),
            (
                "jupyterhub",
                json!({ "api_url": "https://hub.example/hub/api", "access_scopes": ["access:services"] }),
            ),
            ("kerberos", json!({ "acceptor": "http", "realms": ["EXAMPLE.ORG"] })),
            ("oidc", json!({ "issuer": "https://id.example", "client_id": "us" })),
        ] {
            let component = Component::new(&engine, portcullis_plugins::find(name).unwrap()).unwrap();
            let plugin = with_settings(&component, settings, 16 << 20).await;
            let made = std::thread::spawn(move || copied(&plugin).is_some());
            assert!(made.join().unwrap(), "{name}");
        }
    }
}
