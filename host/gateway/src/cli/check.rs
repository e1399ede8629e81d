//! `portcullis check`: loads a configuration as `serve` would, and reports its mistakes and warnings. It opens no port.
//! A plugin that `serve` would disable is a mistake here, because `check` runs before the configuration is used.

use std::error::Error;
use std::io::Write;

use portcullis_loader::tls::trust;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::config::ListenConfig;
use crate::proxy::Proxy;

pub(super) async fn run(file: &ConfigFile, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let draft = file.read();
    let listen = draft.config.listen();
    let (_engine, generation) = engine::load(draft, &Proxy::idle()).await?;
    let disabled = generation.disabled();
    if !disabled.is_empty() {
        return Err(disabled.join("\n").into());
    }
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let routes = count(generation.routes().len(), "route");
    let authenticators = count(generation.authenticators().count(), "authenticator");
    let authorizers = match generation.authorizers().count() {
        0 => String::new(),
        authorizers => format!(", {}", count(authorizers, "authorizer")),
    };
    let sessions = if generation.sessions().is_some() {
        "sessions"
    } else {
        "no sessions"
    };
    writeln!(
        output,
        "{}: good: {routes}, {authenticators}{authorizers}, {sessions}",
        file.name()
    )?;
    for plugin in generation.plugins() {
        if let Some(rules) = plugin.kept_instances() {
            let name = plugin.name();
            writeln!(
                output,
                "  {name}: requests share the plugin's memory, because its instances are kept: {rules}"
            )?;
        }
    }
    for warning in generation.warnings() {
        writeln!(output, "  {warning}")?;
    }
    for doubt in doubts(&listen) {
        writeln!(output, "  {doubt}")?;
    }
    Ok(())
}

/// The reasons for which clients may not accept a listener's certificate.
fn doubts(listen: &ListenConfig) -> Vec<String> {
    let forward_auth = listen.forward_auth.as_ref().and_then(|config| config.tls.as_ref());
    let ext_authz = listen.ext_authz.as_ref().and_then(|config| config.tls.as_ref());
    let listeners = [listen.server.tls.as_ref(), forward_auth, ext_authz];
    let certificates = Vec::from_iter(listeners.into_iter().flatten().flat_map(|tls| &tls.certificates));
    if certificates.is_empty() {
        return Vec::new();
    }
    let known = trust::system().authorities;
    certificates
        .iter()
        .flat_map(|certificate| certificate.doubts(&known))
        .collect()
}
