//! `portcullis plugin test`: asks a plugin about the requests of a file, calls it as a login, and compares what it answers with what
//! the file expects. Each case has an authenticator of its own, so that no case depends on those before it.

pub(super) mod junit;
pub(super) mod report;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use portcullis::Component;
use portcullis_loader::cases;
use portcullis_loader::cases::LoginCase;
use portcullis_loader::cases::Play;

use crate::cli::ConfigFile;
use crate::cli::inspect;
use crate::config::Case;
use crate::config::CasesFile;
use crate::config::ConfigErrors;
use crate::config::Environment;
use crate::config::PluginConfig;
use crate::config::plugin_argument;
use crate::generation::build_alone;

use self::report::Report;

/// Arguments of `plugin test`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, the name of a built-in plugin, or a reference
    #[arg(value_name = "FILE.wasm|NAME|REFERENCE")]
    plugin: PathBuf,
    /// The file with the plugin's settings, grants and limits, and the cases
    #[arg(value_name = "CASES.toml")]
    cases: PathBuf,
    /// Also write the results to this file, in the JUnit format that CI systems read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Loads a plugin, and reads the file with its cases.
pub(super) async fn read(
    plugin: &Path,
    cases: &Path,
    config: &ConfigFile,
) -> Result<(Component, CasesFile), Box<dyn Error>> {
    let source = plugin_argument(plugin)?;
    let component = inspect::loaded(&source, config).await?;
    let file = CasesFile::read(cases, source, component.role(), &Environment::of_process())?;
    Ok((component, file))
}

/// Runs all cases. Returns whether all of them passed.
pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let (component, mut file) = read(&arguments.plugin, &arguments.cases, &arguments.config).await?;
    let (_, warnings) = build_alone(&file.plugin, &component).await.map_err(ConfigErrors::new)?;
    for warning in warnings {
        report::line(output, "warning", warning)?;
    }
    let outbound = file.plugin.outbound.clone();
    let mut reports = Vec::new();
    for case in &file.cases {
        // Responses of the case come first.
        let play = Play::of(case.servers.iter().chain(&file.servers));
        file.plugin.outbound = Play::applied(play.as_ref(), &outbound);
        let report = ask(&file.plugin, &component, case, play.as_deref()).await?;
        report.write(output)?;
        reports.push(report);
    }
    for case in &file.logins {
        let play = Play::of(case.servers.iter().chain(&file.servers));
        file.plugin.outbound = Play::applied(play.as_ref(), &outbound);
        let report = log_in(&file.plugin, &component, case, play.as_deref()).await?;
        report.write(output)?;
        reports.push(report);
    }
    if let Some(path) = &arguments.junit {
        let suite = arguments.cases.display().to_string();
        let results = Vec::from_iter(reports.iter().map(Report::as_test_case));
        let written = fs::write(path, junit::document(&suite, &file.plugin.name, &results));
        written.map_err(|error| format!("{}: can't be written: {error}", path.display()))?;
    }
    let failed = reports.iter().filter(|report| !report.has_passed()).count();
    let passed = reports.len() - failed;
    match failed {
        0 => writeln!(output, "{passed} passed")?,
        _ => writeln!(output, "{passed} passed, {failed} failed")?,
    }
    Ok(failed == 0)
}

/// Asks a new authenticator about the requests of a case. Nothing is left of earlier cases: no decision, no cache of the
/// plugin, no stored response of a server, and no failure that the circuit breaker counts.
async fn ask(
    config: &PluginConfig,
    component: &Component,
    case: &Case,
    play: Option<&Play>,
) -> Result<Report, ConfigErrors> {
    let (authenticator, _) = build_alone(config, component).await.map_err(ConfigErrors::new)?;
    let outcome = cases::ask(&authenticator, case, play).await;
    authenticator.retire();
    Ok(Report::of(&case.name, &outcome))
}

/// Makes the calls of a case of a login, with an authenticator that is as new.
async fn log_in(
    config: &PluginConfig,
    component: &Component,
    case: &LoginCase,
    play: Option<&Play>,
) -> Result<Report, Box<dyn Error>> {
    let (authenticator, _) = build_alone(config, component).await.map_err(ConfigErrors::new)?;
    let login = authenticator.login();
    let login = login
        .ok_or("the file has [[logins]], and the component is no login: it doesn't export portcullis:auth/login")?;
    let outcome = cases::ask_login(&login, case, play).await;
    authenticator.retire();
    Ok(Report::of_login(&case.name, &outcome))
}
