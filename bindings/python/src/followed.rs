//! A plugin directory in use, which is loaded again when its files change. What is wrong with them is logged, and leaves
//! everything as it was.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use portcullis_loader::ConfigErrors;
use portcullis_loader::CurrentPlugins;
use portcullis_loader::PluginDirectory;
use portcullis_loader::PluginWarning;
use portcullis_loader::Plugins;
use tokio::task::AbortHandle;

use crate::host::Host;
use crate::lock::lock;

/// The most lines that one change of files writes about what differs or is wrong.
const MAX_LINES: usize = 100;

/// A directory whose files are followed until this is dropped.
pub(crate) struct Followed {
    pub(crate) current: CurrentPlugins,
    warnings: Arc<Mutex<Vec<PluginWarning>>>,
    task: AbortHandle,
}

impl Followed {
    /// Loads a directory and follows it from now on. The caller isn't attached to Python.
    pub(crate) fn open(host: &Host, directory: PluginDirectory, path: &Path) -> Result<Self, ConfigErrors> {
        let plugins = host.runtime.block_on(directory.open())?;
        let warnings = Arc::new(Mutex::new(plugins.warnings().to_vec()));
        let current = plugins.current();
        let task = follow(plugins, Arc::clone(&warnings), path.display().to_string());
        Ok(Self {
            current,
            warnings,
            task: host.runtime.spawn(task).abort_handle(),
        })
    }

    /// What is told of these plugins at the moment: those that `wanted` accepts by their name.
    pub(crate) fn warnings(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let warnings = lock(&self.warnings);
        let wanted = warnings.iter().filter(|warning| wanted(warning.plugin()));
        wanted.map(ToString::to_string).collect()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut plugins: Plugins, warnings: Arc<Mutex<Vec<PluginWarning>>>, directory: String) {
    loop {
        match plugins.changed().await {
            Ok(changes) => {
                for change in changes.iter().take(MAX_LINES) {
                    tracing::info!(directory, "{change}");
                }
                if !changes.is_empty() {
                    tracing::info!(directory, changes = changes.len(), "the plugins were reloaded");
                }
                plugins.warnings().clone_into(&mut lock(&warnings));
            }
            Err(errors) => {
                for line in errors.to_string().lines().take(MAX_LINES) {
                    tracing::error!(directory, "{line}");
                }
                let message = "the plugins can't be reloaded, so the previous ones are still in use";
                tracing::error!(directory, "{message}");
            }
        }
    }
}
