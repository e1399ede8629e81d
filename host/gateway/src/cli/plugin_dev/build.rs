//! Builds the project of a plugin with its own command, and ends the command with everything that it started.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;

use crate::config::PluginProject;
use crate::program;

/// Runs the build command. What it prints goes where the gateway's own output goes. Returns why there is no component.
///
/// If the future is dropped, the command ends.
pub(super) async fn build(project: &PluginProject) -> Result<(), String> {
    let (program, arguments) = &project.command;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&project.folder)
        .stdin(Stdio::null())
        // A group of its own, so that Ctrl-C reaches the gateway alone, which then ends the group.
        .process_group(0);
    if let Some(path) = path_with_this_program() {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut ended = Group(group);
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    ended.0 = None;
    match status.map_err(|error| error.to_string())? {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// A group of processes that ends when this is dropped. `None` when it has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// `PATH` with the folder of this program, because some build commands call it.
fn path_with_this_program() -> Option<OsString> {
    let own = program::folder()?.to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(env::split_paths(&path).chain([own])).ok()
}
