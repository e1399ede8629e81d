//! `portcullis plugin conformance`: what holds for every plugin, whatever it is for. Empty, malformed and huge input leads to an
//! answer within the contract, the same request to the same answer, and nothing is asked for that isn't in the manifest. No
//! server is asked anything but those that the file plays.

mod bad_answers;
mod checks;
mod input;
mod logins;
mod served;
mod servers;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use portcullis::Component;
use portcullis::GrantKey;
use portcullis::Grants;
use portcullis::Limits;

use self::checks::Check;
use crate::cli::ConfigFile;
use crate::cli::inspect;
use crate::cli::plugin_test::junit;
use crate::cli::plugin_test::junit::Failure;
use crate::cli::plugin_test::junit::TestCase;
use crate::cli::plugin_test::report::line;
use crate::config::CasesFile;
use crate::config::Environment;
use crate::config::plugin_argument;

/// Arguments of `plugin conformance`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, the name of a built-in plugin, or a reference
    #[arg(value_name = "FILE.wasm|NAME|REFERENCE")]
    plugin: PathBuf,
    /// A file of `plugin test`, for its settings, grants, limits, requests and servers. Without one, the plugin gets no settings, and the
    /// grants that it asks for
    #[arg(value_name = "CASES.toml")]
    cases: Option<PathBuf>,
    /// Also write the results to this file, in the JUnit format that CI systems read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs all checks. Returns whether all of them passed.
pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let source = plugin_argument(&arguments.plugin)?;
    let component = inspect::loaded(&source, &arguments.config).await?;
    let mut file = match &arguments.cases {
        Some(path) => CasesFile::read(path, source, component.role(), &Environment::of_process())?,
        None => CasesFile::without_cases(source, component.role(), suggested(&component)),
    };
    // A plugin must answer without servers too, and the network would make answers differ.
    let servers = std::mem::take(&mut file.plugin.grants.http);
    file.plugin.limits = Limits {
        rate: None,
        breaker: None,
        reuse_decisions: Duration::ZERO,
        ..file.plugin.limits
    };
    let kept = file.plugin.instances.take();
    let mut checks = checks::all(&component, &mut file, kept).await?;
    checks.extend(logins::checks(&component, &file).await?);
    file.plugin.grants.http = servers;
    checks.extend(servers::checks(&component, &file, &file.cases).await?);
    checks.extend(servers::checks(&component, &file, &file.logins).await?);
    for check in &checks {
        write(check, output)?;
    }
    if let Some(path) = &arguments.junit {
        let suite = format!("conformance of {}", arguments.plugin.display());
        let results = Vec::from_iter(checks.iter().map(test_case));
        let written = fs::write(path, junit::document(&suite, &file.plugin.name, &results));
        written.map_err(|error| format!("{}: can't be written: {error}", path.display()))?;
    }
    let failed = checks.iter().filter(|check| !check.failures.is_empty()).count();
    let passed = checks.len() - failed;
    match failed {
        0 => writeln!(output, "{passed} passed")?,
        _ => writeln!(output, "{passed} passed, {failed} failed")?,
    }
    Ok(failed == 0)
}

/// The grants that a plugin asks for in its manifest, or else those by default.
fn suggested(component: &Component) -> Grants {
    let Some(asked) = component.manifest().and_then(|manifest| manifest.grants.as_ref()) else {
        return Grants::of_role(component.role());
    };
    let mut grants = Grants {
        headers: Vec::new(),
        ..Grants::default()
    };
    for (key, name) in asked {
        match key {
            GrantKey::ClientCertificate => grants.client_certificate = true,
            GrantKey::Cookies => grants.cookies.push(name.clone()),
            GrantKey::Headers => grants.headers.extend(name.parse()),
            GrantKey::Query => grants.query.push(name.clone()),
            _ => {}
        }
    }
    grants
}

fn write(check: &Check, output: &mut impl Write) -> std::io::Result<()> {
    let label = if check.failures.is_empty() { "ok" } else { "FAILED" };
    line(output, label, &check.name)?;
    check
        .failures
        .iter()
        .try_for_each(|failure| line(output, "", failure))?;
    match &check.note {
        Some(note) => line(output, "", format_args!("({note})")),
        None => Ok(()),
    }
}

fn test_case(check: &Check) -> TestCase<'_> {
    let failure = check.failures.first().map(|first| Failure {
        message: first.clone(),
        text: check.failures.join("\n"),
    });
    TestCase {
        name: &check.name,
        elapsed: check.elapsed,
        failure,
    }
}
