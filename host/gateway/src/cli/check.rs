//! `portcullis check`: loads a configuration as `serve` would, and reports its mistakes and warnings. It opens no port.

use std::error::Error;
use std::io::Write;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::proxy::Proxy;

pub(super) async fn run(file: &ConfigFile, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let generation = engine::load(file.read(), &Proxy::idle()).await?;
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let routes = count(generation.routes().len(), "route");
    let authenticators = count(generation.authenticators().len(), "authenticator");
    let sessions = if generation.sessions().is_some() {
        "sessions"
    } else {
        "no sessions"
    };
    writeln!(output, "{}: good: {routes}, {authenticators}, {sessions}", file.name())?;
    for warning in generation.warnings() {
        writeln!(output, "  {warning}")?;
    }
    Ok(())
}
