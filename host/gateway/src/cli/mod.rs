//! The command line. Each command writes its result to standard output, and errors to standard error.

mod access_logs;
mod audit;
mod check;
mod config_show;
mod conformance;
mod engine;
mod explain;
mod inspect;
mod keygen;
mod log_json;
mod log_lines;
mod log_output;
mod log_text;
mod logging;
mod manifest;
mod plugin_bench;
mod plugin_dev;
mod plugin_new;
mod plugin_test;
mod pull;
mod push;
mod reload;
mod reloader;
mod remote;
mod revoke;
mod running;
mod schema;
mod serve;
mod sign;
mod signals;
mod source;
mod starter;

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use clap::CommandFactory;
use clap::Parser;
use clap::Subcommand;

use self::logging::Format;
use crate::config::Draft;
use crate::config::Environment;
use crate::machine;
use crate::transport::Inherited;

/// Runs the command of these arguments, of which the first is the name of the program. Returns the exit code.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(told) => {
            // This is also the way of help. If it can't be written, there is nowhere to report that.
            let _ = told.print();
            return u8::try_from(told.exit_code()).unwrap_or(FAILURE);
        }
    };
    let mut output = io::stdout().lock();
    let outcome = run(line, &mut output);
    // The Python package is no program of Rust's, which would do so at its end.
    let flushed = output.flush();
    let error = match (outcome, flushed) {
        (Ok(code), Ok(())) => return code,
        (Err(error), _) => error,
        (Ok(_), Err(error)) => error.into(),
    };
    // If this fails too, there is nowhere to report it.
    let _ = writeln!(io::stderr(), "{error}");
    FAILURE
}

/// The definition of the command line.
pub(crate) fn command() -> clap::Command {
    CommandLine::command()
}

/// An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// What to log to standard error: error, warn, info, debug, trace, or a filter such as "info,portcullis=debug"
    #[arg(long, global = true, env = "PORTCULLIS_LOG", value_name = "LEVEL")]
    log_level: Option<logging::Level>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests until SIGTERM or SIGINT
    #[command(after_help = EXIT_CODES)]
    Serve(serve::Arguments),
    /// Make a running gateway load its configuration again, and say what has changed or why it can't be used
    ///
    /// A gateway also does so by itself when a file of its configuration changes, and at SIGHUP. The command finds it by
    /// `admin.listen` of its configuration.
    #[command(after_help = EXIT_CODES)]
    Reload(ConfigFile),
    /// Make a running gateway, and those that it tells, end sessions
    ///
    /// Credentials that an authenticator still accepts are accepted again: what plugins have decided is forgotten, so that they are
    /// asked anew. The command finds the gateway by `admin.listen` of its configuration, and needs `admin.token`.
    #[command(after_help = EXIT_CODES)]
    Revoke(revoke::Arguments),
    /// Load the configuration and its plugins as `serve` would, and report every mistake
    #[command(after_help = EXIT_CODES)]
    Check(ConfigFile),
    /// Commands for the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the JSON Schema of the configuration file, with which editors complete keys and show mistakes
    #[command(after_help = EXIT_CODES)]
    Schema,
    /// Show how a request would be handled: its route, and what each authenticator reads and decides
    ///
    /// The authenticators are actually called, and may contact their identity providers. Nothing is sent to an upstream.
    #[command(after_help = EXIT_CODES)]
    Explain(explain::Arguments),
    /// Commands for audit logs
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Commands for plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Make a new secret: 32 random bytes as 64 hexadecimal digits
    #[command(after_help = EXIT_CODES)]
    Keygen(keygen::Arguments),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Find lines of an audit file that were changed, removed, added or moved
    #[command(after_help = EXIT_CODES)]
    Verify(audit::VerifyArguments),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print what is in effect, and where each value comes from: a file and its line, a variable, or the default
    ///
    /// No secret is printed. The plugins are loaded, because their schemas say which settings are secret.
    #[command(after_help = EXIT_CODES)]
    Show(config_show::Arguments),
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Describe a component: contract, digest, size, what it can do, its settings, and a configuration to start from
    #[command(after_help = EXIT_CODES)]
    Inspect(inspect::Arguments),
    /// List the built-in plugins, and the authenticators of the configuration with their plugins
    #[command(after_help = EXIT_CODES)]
    List(inspect::ListArguments),
    /// Write the project of a new plugin, which builds, passes its tests and loads
    #[command(after_help = EXIT_CODES)]
    New(plugin_new::Arguments),
    /// Ask a plugin about the requests of a file, and compare what it decides with what the file expects
    ///
    /// The plugin is actually called, and may contact the servers that the file grants.
    #[command(after_help = EXIT_CODES)]
    Test(plugin_test::Arguments),
    /// Build the project of a plugin at every change, and serve it in front of a page that shows the user
    ///
    /// What can be built replaces what is served, without a restart. The log says what each request is decided to be.
    #[command(after_help = EXIT_CODES)]
    Dev(plugin_dev::Arguments),
    /// Ask a plugin about the requests of a file again and again, and tell what a call costs
    #[command(after_help = EXIT_CODES)]
    Bench(plugin_bench::Arguments),
    /// Check what holds for every plugin: odd input leads to an answer, always to the same one, and within the contract
    ///
    /// The plugin reaches no server meanwhile.
    #[command(after_help = EXIT_CODES)]
    Conformance(conformance::Arguments),
    /// Put a manifest into a component: its name and version, what it does, and which grants it asks for
    ///
    /// The SDK for Rust writes one by itself. Sign a component after this.
    #[command(after_help = EXIT_CODES)]
    Manifest(manifest::Arguments),
    /// Fetch a plugin from a registry, and pin its tag in portcullis.lock beside the configuration
    #[command(after_help = EXIT_CODES)]
    Pull(pull::Arguments),
    /// Bring a plugin to a registry, with its signature
    #[command(after_help = EXIT_CODES)]
    Push(push::Arguments),
    /// Sign a component with a key of minisign
    #[command(after_help = EXIT_CODES)]
    Sign(sign::SignArguments),
    /// Verify the signature of a component
    #[command(after_help = EXIT_CODES)]
    Verify(sign::VerifyArguments),
    /// Compile plugins into a folder, such as one of an image, so that the gateway starts without compiling
    #[command(after_help = EXIT_CODES)]
    Compile(inspect::CompileArguments),
}

/// The configuration file to read.
#[derive(Args, Clone, Debug)]
struct ConfigFile {
    /// The configuration file. Without one, the gateway listens on http://127.0.0.1:8000 and accepts any user name
    #[arg(long = "config", env = "PORTCULLIS_CONFIG", value_name = "FILE", global = true)]
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

fn run(line: CommandLine, output: &mut impl Write) -> Result<u8, Box<dyn Error>> {
    let mut code = SUCCESS;
    let outcome = match line.command {
        Command::Serve(arguments) => {
            let log = logging::start(&line.log_level.unwrap_or_default(), arguments.log_format)?;
            let inherited = Inherited::of_process();
            let threads = arguments.worker_threads;
            let outcome = wait_for_with(threads, serve::run(arguments, inherited, log.audit.clone()));
            log.flush();
            outcome?
        }
        Command::Plugin(PluginCommand::Dev(arguments)) => {
            let log = logging::start(&line.log_level.unwrap_or_default(), Format::Text)?;
            let outcome = wait_for(plugin_dev::run(&arguments));
            log.flush();
            outcome?
        }
        command => {
            // The result of these commands is their output, so they log only if --log-level is given.
            let level = line.log_level.as_ref();
            let log = level.map(|level| logging::start(level, Format::Text)).transpose()?;
            let outcome = match command {
                Command::Serve(_) | Command::Plugin(PluginCommand::Dev(_)) => Ok(()),
                Command::Reload(file) => wait_for(reload::run(&file, output))?,
                Command::Revoke(arguments) => wait_for(revoke::run(&arguments, output))?,
                Command::Check(file) => wait_for(check::run(&file, output))?,
                Command::Config(ConfigCommand::Show(arguments)) => wait_for(config_show::run(&arguments, output))?,
                Command::Schema => schema::run(output),
                Command::Explain(arguments) => wait_for(explain::run(&arguments, output))?,
                Command::Audit(AuditCommand::Verify(arguments)) => {
                    audit::verify(&arguments, output).map(|passed| code = exit_code(passed))
                }
                Command::Plugin(PluginCommand::Inspect(arguments)) => wait_for(inspect::run(&arguments, output))?,
                Command::Plugin(PluginCommand::Compile(arguments)) => wait_for(inspect::compile(&arguments, output))?,
                Command::Plugin(PluginCommand::Pull(arguments)) => wait_for(pull::run(&arguments, output))?,
                Command::Plugin(PluginCommand::Push(arguments)) => wait_for(push::run(&arguments, output))?,
                Command::Plugin(PluginCommand::Sign(arguments)) => sign::sign(&arguments, output),
                Command::Plugin(PluginCommand::Verify(arguments)) => wait_for(sign::verify(&arguments, output))?,
                Command::Plugin(PluginCommand::List(arguments)) => inspect::list(&arguments, output),
                Command::Plugin(PluginCommand::Bench(arguments)) => wait_for(plugin_bench::run(&arguments, output))?,
                Command::Plugin(PluginCommand::Conformance(arguments)) => {
                    wait_for(conformance::run(&arguments, output))?.map(|passed| code = exit_code(passed))
                }
                Command::Plugin(PluginCommand::Manifest(arguments)) => manifest::run(&arguments, output),
                Command::Plugin(PluginCommand::New(arguments)) => plugin_new::run(&arguments, output),
                Command::Plugin(PluginCommand::Test(arguments)) => {
                    wait_for(plugin_test::run(&arguments, output))?.map(|passed| code = exit_code(passed))
                }
                Command::Keygen(arguments) => keygen::run(&arguments, output),
            };
            if let Some(log) = log {
                log.flush();
            }
            outcome
        }
    };
    outcome.map(|()| code)
}

fn exit_code(passed: bool) -> u8 {
    if passed { SUCCESS } else { FAILURE }
}

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;

/// How many tasks a busy thread polls before it checks for new events. A plugin in an endless loop runs for some
/// milliseconds per poll; with tokio's default of 61, all other requests would wait for up to 61 such polls.
const EVENT_INTERVAL: u32 = 4;

fn wait_for<T>(future: impl Future<Output = T>) -> io::Result<T> {
    wait_for_with(None, future)
}

/// Runs a future to completion. `threads` is the number of worker threads, or `None` for one per processor.
fn wait_for_with<T>(threads: Option<NonZero<usize>>, future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.map_or_else(machine::processors, NonZero::get))
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .global_queue_interval(EVENT_INTERVAL)
        .build()?;
    let result = runtime.block_on(future);
    // A lookup by the system's resolver can't be cancelled, and one that hangs would keep the process from exiting.
    runtime.shutdown_background();
    Ok(result)
}

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 an error, for example in the configuration or a plugin, or a failed test; 2 a mistake on the \
command line.";

#[cfg(test)]
mod tests;
