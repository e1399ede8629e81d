//! The command line. Each command writes its result to standard output and what went wrong to standard error.

mod check;
mod engine;
mod explain;
mod inspect;
mod keygen;
mod log_lines;
mod logging;
mod serve;

use std::error::Error;
use std::io;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use self::logging::Format;
use crate::config::Draft;
use crate::config::Environment;
use crate::machine;
use crate::transport::Inherited;

/// Runs the command that the process was started with.
pub(crate) fn main() -> ExitCode {
    let outcome = run(CommandLine::parse(), &mut io::stdout().lock());
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // Nobody is left to be told when this fails too.
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::FAILURE
}

/// An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// What to log on standard error: error, warn, info, debug, trace, or a filter such as "info,portcullis=debug"
    #[arg(long, global = true, env = "PORTCULLIS_LOG", value_name = "LEVEL")]
    log_level: Option<logging::Level>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests until SIGTERM or SIGINT
    #[command(after_help = EXIT_CODES)]
    Serve(serve::Arguments),
    /// Read the configuration and its plugins as `serve` would, and report every mistake
    #[command(after_help = EXIT_CODES)]
    Check(ConfigFile),
    /// Show what a request would meet: its route, the authenticators, what each was asked and said
    ///
    /// The authenticators really are asked, and may ask their identity providers. Nothing is sent upstream.
    #[command(after_help = EXIT_CODES)]
    Explain(explain::Arguments),
    /// Look at plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print a fresh secret: 32 random bytes as 64 hexadecimal digits
    Keygen,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Say what a component is: contract, imports, settings, digest, size
    #[command(after_help = EXIT_CODES)]
    Inspect(inspect::Arguments),
}

/// Where the configuration is.
#[derive(Args, Debug)]
struct ConfigFile {
    /// The configuration; without it the built-in one, by which anybody may say who they are on http://127.0.0.1:8000
    #[arg(long = "config", env = "PORTCULLIS_CONFIG", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl ConfigFile {
    fn read(&self) -> Draft {
        let environment = Environment::of_process();
        match &self.path {
            Some(path) => Draft::read(path, &environment),
            None => Draft::built_in(&environment),
        }
    }

    fn name(&self) -> String {
        self.path.as_ref().map_or_else(
            || "built-in configuration".to_owned(),
            |path| path.display().to_string(),
        )
    }
}

fn run(line: CommandLine, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    match line.command {
        Command::Serve(arguments) => {
            let log = logging::start(&line.log_level.unwrap_or_default(), arguments.log_format)?;
            let inherited = Inherited::of_process();
            let threads = arguments.worker_threads;
            let outcome = wait_for_with(threads, serve::run(arguments, inherited));
            log.flush();
            outcome?
        }
        command => {
            // What these commands have to say is their output, unless somebody asks for more.
            let level = line.log_level.as_ref();
            let log = level.map(|level| logging::start(level, Format::Text)).transpose()?;
            let outcome = match command {
                Command::Serve(_) => Ok(()),
                Command::Check(file) => wait_for(check::run(&file, output))?,
                Command::Explain(arguments) => wait_for(explain::run(&arguments, output))?,
                Command::Plugin(PluginCommand::Inspect(arguments)) => wait_for(inspect::run(&arguments, output))?,
                Command::Keygen => keygen::run(output),
            };
            if let Some(log) = log {
                log.flush();
            }
            outcome
        }
    }
}

/// How many tasks a busy thread runs before it looks for new events. A plugin that computes without end runs for some
/// milliseconds each time, and with tokio's own 61 everybody else would wait that long sixty times.
const EVENT_INTERVAL: u32 = 4;

fn wait_for<T>(future: impl Future<Output = T>) -> io::Result<T> {
    wait_for_with(None, future)
}

/// `threads`: how many work at once; none: one for each processor.
fn wait_for_with<T>(threads: Option<NonZero<usize>>, future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.map_or_else(machine::processors, NonZero::get))
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .global_queue_interval(EVENT_INTERVAL)
        .build()?;
    let result = runtime.block_on(future);
    // A look-up of the system's resolver can't be ended, and one that hangs would keep the process from ending.
    runtime.shutdown_background();
    Ok(result)
}

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 a mistake in the configuration or a plugin, or a failure; 2 a mistake on the command line.";

#[cfg(test)]
mod tests;
