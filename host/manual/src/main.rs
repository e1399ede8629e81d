//! Writes a manual page for each command of `portcullis`, and completions for three shells: `portcullis-manual FOLDER`. It is a
//! program of its own, which packages don't hold, so that the gateway doesn't carry the code for that.

use std::env;
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

#[allow(clippy::print_stderr, reason = "this is the command line")]
fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: portcullis-manual FOLDER");
        return ExitCode::from(2);
    };
    let folder = Path::new(&folder);
    match write(folder, portcullis_gateway::command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Each shell with the file in which it looks for the completions of `portcullis`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "portcullis"),
    (Shell::Fish, "portcullis.fish"),
    (Shell::Zsh, "_portcullis"),
];

fn write(folder: &Path, mut command: Command) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // Before the completions, which add the subcommand `help` to every command.
    clap_mangen::generate_to(command.clone(), folder)?;
    for (shell, name) in COMPLETIONS {
        clap_complete::generate(shell, &mut command, "portcullis", &mut File::create(folder.join(name))?);
    }
    Ok(())
}
