//! Logs a generation when it starts: what each authenticator may see and reach, and who has access to each route.
//! Routes that are more permissive than the enclosing route are logged too.

use std::fmt::Display;
use std::num::NonZero;

use crate::generation::Access;
use crate::generation::Generation;

impl Generation {
    /// Logs the grants of every authenticator, the access to every route, and every warning.
    pub(crate) fn log(&self) {
        for authenticator in self.authenticators() {
            let (grants, limits) = (authenticator.grants(), authenticator.limits());
            tracing::info!(
                authenticator = authenticator.name(),
                component = %authenticator.component().digest(),
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
                "authenticator loaded"
            );
        }
        for route in self.routes() {
            tracing::info!(
                route = route.name,
                access = route.access.label(),
                authenticators = route.access.authenticators(),
                upstream = route.config.upstream.as_ref().map(tracing::field::display),
                authorize_with = route.config.authorize.as_ref().map(|with| with.template.to_string()),
                upstream_credentials = (!route.config.upstream_credentials.is_empty())
                    .then(|| route.config.upstream_credentials.to_string()),
                "route loaded"
            );
        }
        for warning in self.warnings() {
            warning.log();
        }
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
