//! `portcullis plugin dev`: builds the project of a plugin at every change and serves it, with a configuration of its own in a
//! folder that disappears at the end. The gateway takes up a new build as it takes up any changed plugin.

mod build;
mod stage;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use portcullis_watch::Stamp;
use portcullis_watch::Watcher;

use self::build::build;
use self::stage::Stage;
use crate::audit_trail::CurrentTrail;
use crate::cli::serve;
use crate::config::ListenAddress;
use crate::config::PluginProject;
use crate::transport::Inherited;
use crate::transport::Shutdown;

/// Arguments of `plugin dev`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The folder of the project, with its build.toml
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: ListenAddress,
}

/// Builds and serves until SIGTERM or SIGINT.
pub(super) async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let project = PluginProject::read(&arguments.folder)?;
    let mut stop = Shutdown::on_signals()?;
    let mut watcher = Watcher::new();
    let stage = Stage::new(&project)?;
    loop {
        tokio::select! {
            built = try_build(&project, &stage, &mut watcher) => if built { break },
            () = stop.requested() => return Ok(()),
        }
        tokio::select! {
            () = watcher.changed() => {}
            () = stop.requested() => return Ok(()),
        }
    }
    let served = serve::run(
        serve::Arguments::of(stage.config(), arguments.listen.clone()),
        Inherited::of_process(),
        CurrentTrail::default(),
    );
    tokio::select! {
        served = served => served,
        () = rebuild(&project, &stage, &mut watcher) => Ok(()),
    }
}

/// Builds at every change. It doesn't end by itself.
async fn rebuild(project: &PluginProject, stage: &Stage, watcher: &mut Watcher) {
    loop {
        watcher.changed().await;
        try_build(project, stage, watcher).await;
    }
}

/// Builds once, and puts what was built on the stage. Returns whether that worked; if not, the log says why.
async fn try_build(project: &PluginProject, stage: &Stage, watcher: &mut Watcher) -> bool {
    // Before the build reads them, so that no change is missed.
    watcher.watch(sources(project));
    let built = match build(project).await {
        Ok(()) => stage.take_up(project).map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    match &built {
        Ok(()) => tracing::info!(plugin = project.name, "built"),
        Err(why) => tracing::error!(
            plugin = project.name,
            "the build failed: {why}; it is tried again when a source changes"
        ),
    }
    built.is_ok()
}

/// The sources with their states, folders with everything below them.
fn sources(project: &PluginProject) -> Vec<(PathBuf, Stamp)> {
    let mut found = vec![project.config()];
    for source in &project.sources {
        find(source, &mut found);
    }
    found.truncate(MAX_SOURCES);
    let stamped = found.into_iter().map(|path| {
        let stamp = Stamp::of(&path);
        (path, stamp)
    });
    stamped.collect()
}

/// The most files and folders that are watched.
const MAX_SOURCES: usize = 10_000;

fn find(path: &Path, found: &mut Vec<PathBuf>) {
    found.push(path.to_owned());
    // A link to a folder above would have no end.
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if !is_folder || found.len() > MAX_SOURCES {
        return;
    }
    for entry in path.read_dir().into_iter().flatten().flatten() {
        find(&entry.path(), found);
    }
}
