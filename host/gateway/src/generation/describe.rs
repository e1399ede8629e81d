//! Logs a generation when it comes into use: what each plugin may see and reach, and who has access to each route.
//! Routes that are more permissive than the enclosing route are logged too.

use std::fmt::Display;
use std::num::NonZero;
use std::sync::Arc;

use metrics::describe_gauge;
use metrics::gauge;
use portcullis::Role;
use portcullis_loader::LoadedPlugin;

use crate::generation::Access;
use crate::generation::Generation;
use crate::generation::Route;
use crate::generation::Warning;

impl Generation {
    /// Logs the grants of every plugin, the access to every route, and every warning, as far as the generation
    /// before has them not, or not so.
    pub(crate) fn log(&self, before: Option<&Self>) {
        let known = before.into_iter().flat_map(Self::plugins);
        let known = Vec::from_iter(known);
        let is_new = |loaded: &&LoadedPlugin| !known.iter().any(|known| known.is(&loaded.plugin));
        for LoadedPlugin { plugin, signer, .. } in self.plugins.iter().filter(is_new) {
            // Of one that is disabled, a warning tells.
            let (Some(component), Some(limits)) = (plugin.component(), plugin.limits()) else {
                continue;
            };
            let grants = plugin.grants();
            let role = plugin.role().label();
            tracing::info!(
                authenticator = plugin.authenticator().map(|plugin| plugin.name()),
                authorizer = plugin.authorizer().map(|plugin| plugin.name()),
                component = %component.digest(),
                signer = signer.as_ref().map(tracing::field::display),
                headers = listed(&grants.headers),
                cookies = listed(&grants.cookies),
                query = listed(&grants.query),
                http = listed(&grants.http),
                private = grants.private,
                client_certificate = grants.client_certificate,
                negotiate = grants.negotiate,
                deadline = ?limits.deadline,
                memory = limits.memory,
                concurrency = limits.concurrency,
                rate = limits.rate.map(|rate| rate.to_string()),
                breaker = limits.breaker.map(NonZero::get),
                kept_instances = plugin.kept_instances().map(|rules| rules.keep),
                "{role} loaded"
            );
        }
        let known = before.map(Self::routes).unwrap_or_default();
        let is_new = |route: &&Arc<Route>| {
            !known
                .iter()
                .any(|known| known.name == route.name && known.digest == route.digest)
        };
        for route in self.routes().iter().filter(is_new) {
            tracing::info!(
                route = route.name,
                access = route.access.label(),
                authenticators = route.access.authenticators(),
                authorizers = (!route.authorizers.is_empty()).then(|| route.authorizer_names()),
                upstream = route.config.upstream.as_ref().map(tracing::field::display),
                authorize_with = route.config.authorize.as_ref().map(|with| with.template.to_string()),
                upstream_credentials = (!route.config.upstream_credentials.is_empty())
                    .then(|| route.config.upstream_credentials.to_string()),
                "route loaded"
            );
        }
        for warning in self.new_warnings(before) {
            warning.log();
        }
    }

    /// Whether another generation has the same warnings.
    pub(crate) fn warns_like(&self, other: &Self) -> bool {
        let warnings = self.warnings().iter().map(ToString::to_string);
        warnings.eq(other.warnings().iter().map(ToString::to_string))
    }

    /// Tells the metrics which authenticators and authorizers are disabled.
    pub(crate) fn count_disabled(&self) {
        for plugin in self.plugins() {
            let role = plugin.role().label();
            let name = match plugin.role() {
                Role::Authorizer => "portcullis_authorizer_disabled",
                _ => "portcullis_authenticator_disabled",
            };
            describe_gauge!(
                name,
                "1 while its component isn't of the required origin, can't be had from its registry, or fails its self-test"
            );
            let gauge = gauge!(name, role => plugin.name().to_owned());
            gauge.set(u32::from(plugin.why_disabled().is_some()));
        }
    }

    /// The warnings that the generation before hasn't.
    pub(crate) fn new_warnings<'a>(&'a self, before: Option<&Self>) -> impl Iterator<Item = &'a Warning> {
        let known = before.map(Self::warnings).unwrap_or_default();
        let known = Vec::from_iter(known.iter().map(ToString::to_string));
        let warnings = self.warnings().iter();
        warnings.filter(move |warning| !known.contains(&warning.to_string()))
    }
}

impl Route {
    /// Returns the names of the route's authorizers, in the order in which they are asked.
    pub(crate) fn authorizer_names(&self) -> String {
        listed(self.authorizers.iter().map(|authorizer| authorizer.name()))
    }
}

impl Access {
    /// Returns the value of the log field `access`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Optional(_) => "optional",
            Self::Protected(_) => "protected",
            Self::Public => "public",
        }
    }

    /// Returns the names of the route's authenticators, in the order in which they are asked.
    pub(crate) fn authenticators(&self) -> String {
        let asked = self.gate().into_iter().flat_map(|gate| gate.chain().authenticators());
        listed(asked.map(|authenticator| authenticator.name()))
    }
}

fn listed(items: impl IntoIterator<Item = impl Display>) -> String {
    Vec::from_iter(items.into_iter().map(|item| item.to_string())).join(" ")
}
