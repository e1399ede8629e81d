//! The self-test that a component may carry in its manifest: the plugin is asked about a few requests with the settings that it
//! has, before it is asked about any request of a client.

use std::num::NonZero;

use portcullis::Component;
use portcullis::Outbound;

use crate::build::build_for_trial;
use crate::cases;
use crate::cases::Case;
use crate::config::plugin::PluginConfig;

/// Asks about each request of the self-test. Every one has a plugin of its own, whose grants, settings and limits are
/// the configured ones, but for requests to other servers and Kerberos tokens: both are denied as if they weren't granted. The
/// deadline holds for each call.
///
/// # Errors
///
/// Returns the first thing that isn't as the author of the plugin expects, as the rest of a sentence that begins with the
/// component.
pub async fn run(config: &PluginConfig, component: &Component) -> Result<(), String> {
    let cases = cases::self_test(component.manifest(), config.role).map_err(|errors| errors.to_string())?;
    for case in cases.iter().flatten() {
        ask(config, component, case)
            .await
            .map_err(|why| format!("its self-test {:?} fails: {why}", case.name))?;
    }
    Ok(())
}

async fn ask(config: &PluginConfig, component: &Component, case: &Case) -> Result<(), String> {
    let config = alone(config.clone());
    let built = build_for_trial(&config, component).await;
    let plugin = built.map_err(|errors| {
        let errors = Vec::from_iter(errors.iter().map(ToString::to_string));
        format!("it can't be configured without other servers: {}", errors.join("; "))
    })?;
    let outcome = cases::ask(&plugin, case, None).await;
    plugin.retire();
    let (answer, found) = (
        outcome.answer,
        Vec::from_iter(outcome.differences.iter().map(ToString::to_string)),
    );
    if found.is_empty() {
        return Ok(());
    }
    let denied = match NonZero::new(answer.denied) {
        Some(denied) => format!("; requests to other servers are denied in a self-test, and it sent {denied}"),
        None => String::new(),
    };
    Err(format!("{} (the plugin {}{denied})", found.join("; "), answer.sentence))
}

/// Without everything outside of the plugin, and without what only matters to many requests.
fn alone(mut config: PluginConfig) -> PluginConfig {
    config.outbound = Outbound::default();
    config.grants.http.clear();
    config.grants_servers_of_settings = false;
    config.grants.negotiate = None;
    config.instances = None;
    config.limits.rate = None;
    config.limits.breaker = None;
    config
}
