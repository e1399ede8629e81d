//! What the status page says of a generation.

use std::fmt::Display;
use std::num::NonZero;
use std::time::Duration;

use portcullis::Plugin;
use portcullis_loader::LoadedPlugin;

use crate::admin::Facts;
use crate::admin::PluginFacts;
use crate::admin::RouteFacts;
use crate::generation::Generation;
use crate::generation::Route;

impl Generation {
    /// What an operator sees of it.
    pub(crate) fn facts(&self) -> Facts {
        let warnings = self.warnings().iter();
        let warnings = warnings.filter(|warning| warning.disabling().is_none());
        Facts {
            routes: self.routes.iter().map(|route| of_route(route)).collect(),
            plugins: self.plugins.iter().map(of_plugin).collect(),
            warnings: warnings.map(ToString::to_string).collect(),
        }
    }
}

fn of_route(route: &Route) -> RouteFacts {
    let upstream = route.config.upstream.as_ref().map(ToString::to_string);
    let authenticators = route.config.access.authenticators().iter();
    RouteFacts {
        name: route.name.clone(),
        access: route.access.label(),
        plugins: authenticators.chain(&route.config.authorizers).cloned().collect(),
        upstream: upstream.unwrap_or_else(|| "(a front)".to_owned()),
    }
}

fn of_plugin(LoadedPlugin { plugin, signer, .. }: &LoadedPlugin) -> PluginFacts {
    let mut terms = terms(plugin);
    if let Some(signer) = signer {
        terms.push(("signed by", signer.to_string()));
    }
    PluginFacts {
        role: plugin.role().label(),
        name: plugin.name().to_owned(),
        digest: plugin.component().map(|component| component.digest().to_string()),
        disabled: plugin.why_disabled().map(str::to_owned),
        terms,
    }
}

/// What is granted, and the bounds, by the names that the configuration has for them. A value that is none is left out.
fn terms(plugin: &Plugin) -> Vec<(&'static str, String)> {
    let grants = plugin.grants();
    let mut terms = vec![
        ("grants.headers", listed(&grants.headers)),
        ("grants.cookies", listed(&grants.cookies)),
        ("grants.query", listed(&grants.query)),
        ("grants.http", listed(&grants.http)),
        ("grants.private", flag(grants.private)),
        ("grants.client_certificate", flag(grants.client_certificate)),
        ("grants.negotiate", grants.negotiate.clone().unwrap_or_default()),
        ("grants.login", listed(&grants.login)),
        ("grants.signing", listed(&grants.signing)),
    ];
    if let Some(limits) = plugin.limits() {
        terms.extend([
            ("limits.deadline", shown(limits.deadline)),
            ("limits.memory", bytesize::ByteSize(limits.memory as u64).to_string()),
            ("limits.concurrency", limits.concurrency.to_string()),
            (
                "limits.rate",
                limits.rate.map(|rate| rate.to_string()).unwrap_or_default(),
            ),
            (
                "limits.breaker",
                limits
                    .breaker
                    .map(NonZero::get)
                    .map(|most| most.to_string())
                    .unwrap_or_default(),
            ),
            ("limits.reuse_decisions", shown(limits.reuse_decisions)),
        ]);
    }
    terms.retain(|(_, value)| !value.is_empty());
    terms
}

fn listed(items: &[impl Display]) -> String {
    Vec::from_iter(items.iter().map(ToString::to_string)).join(", ")
}

fn flag(is_set: bool) -> String {
    match is_set {
        true => "true".to_owned(),
        false => String::new(),
    }
}

fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
