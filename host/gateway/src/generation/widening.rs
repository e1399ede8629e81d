//! Finds routes that are more permissive than the route that would match without them. `check`, `explain` and the log at
//! the start warn about each, because an operator who protects `/` may expect everything below it to be protected too.

use std::fmt;
use std::sync::Arc;

use crate::generation::Access;
use crate::generation::Route;
use crate::routing::host::HostPattern;

/// A route that is more permissive than the route that would serve its requests without it.
#[derive(Clone, Debug)]
pub(crate) struct AccessWidening {
    /// The more permissive route.
    pub(crate) route: Arc<Route>,
    /// The route that would serve its requests without it.
    pub(crate) enclosing: Arc<Route>,
    admitted: Admitted,
}

/// What a route admits and its enclosing route doesn't.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Admitted {
    /// Requests without credentials.
    Anonymous,
    /// Requests that these authorizers would deny.
    DeniedBy(Vec<String>),
    /// Users of these authenticators.
    UsersOf(Vec<String>),
}

impl AccessWidening {
    /// Returns all widenings, in the order of the routes.
    pub(super) fn among(routes: &[Arc<Route>]) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for route in routes {
            for enclosing in replaced(route, routes) {
                let widening = Self::between(route, enclosing);
                let is_new = |widening: &Self| {
                    let same = |other: &Self| {
                        Arc::ptr_eq(&other.route, &widening.route) && Arc::ptr_eq(&other.enclosing, &widening.enclosing)
                    };
                    !found.iter().any(same)
                };
                found.extend(widening.filter(is_new));
            }
        }
        found
    }

    fn between(route: &Arc<Route>, enclosing: &Arc<Route>) -> Option<Self> {
        let admitted = if strictness(&route.access) < strictness(&enclosing.access) {
            Admitted::Anonymous
        } else {
            let trusted = Vec::from_iter(names(&enclosing.access));
            let others = names(&route.access).filter(|name| !trusted.contains(name));
            let others = Vec::from_iter(others.map(str::to_owned));
            let unasked = enclosing.config.authorizers.iter();
            let unasked = unasked.filter(|name| !route.config.authorizers.contains(name)).cloned();
            let unasked = Vec::from_iter(unasked);
            if enclosing.access.gate().is_some() && !others.is_empty() {
                Admitted::UsersOf(others)
            } else if !unasked.is_empty() {
                Admitted::DeniedBy(unasked)
            } else {
                return None;
            }
        };
        Some(Self {
            route: Arc::clone(route),
            enclosing: Arc::clone(enclosing),
            admitted,
        })
    }
}

impl fmt::Display for AccessWidening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, enclosing) = (&self.route.name, &self.enclosing.name);
        match &self.admitted {
            Admitted::Anonymous => {
                let (is, was) = (self.route.access.label(), self.enclosing.access.label());
                write!(f, "{name} is {is}, and {enclosing} is {was}")
            }
            Admitted::DeniedBy(authorizers) => {
                write!(f, "{name} doesn't ask {}, and {enclosing} does", authorizers.join(", "))
            }
            Admitted::UsersOf(others) => {
                write!(
                    f,
                    "{name} admits users of {}, and {enclosing} doesn't",
                    others.join(", ")
                )
            }
        }
    }
}

/// Returns the routes that would serve requests of this route if it didn't exist. For each host that is the route with
/// the narrowest host and the longest matching path. If this route lists hosts, the routes for wider hosts below its path
/// are replaced too.
fn replaced<'a>(route: &Arc<Route>, routes: &'a [Arc<Route>]) -> impl Iterator<Item = &'a Arc<Route>> {
    let own = &route.config.matcher;
    let others = || {
        let others = routes.iter().filter(|other| !Arc::ptr_eq(other, route));
        others.filter(|other| other.config.matcher.methods.overlap(&own.methods))
    };
    let enclosing = |host: Option<&HostPattern>| {
        let serves = |other: &&Arc<Route>| {
            let other = &other.config.matcher;
            width(&other.hosts, host).is_some() && other.path.covers(&own.path)
        };
        others().filter(serves).max_by_key(|other| {
            let other = &other.config.matcher;
            (width(&other.hosts, host), other.path.depth(), !other.methods.are_all())
        })
    };
    let enclosing = if own.hosts.is_empty() {
        vec![enclosing(None)]
    } else {
        Vec::from_iter(own.hosts.iter().map(|host| enclosing(Some(host))))
    };
    let below = others().filter(|other| {
        let other = &other.config.matcher;
        let is_wider = |host: &HostPattern| !other.hosts.contains(host) && width(&other.hosts, Some(host)).is_some();
        own.hosts.iter().any(is_wider) && own.path.covers(&other.path)
    });
    let below = Vec::from_iter(below);
    enclosing.into_iter().flatten().chain(below)
}

/// How closely a route's hosts fit a host, or all hosts for `None`: a higher value is closer. `None` if they don't cover
/// it.
fn width(hosts: &[HostPattern], host: Option<&HostPattern>) -> Option<usize> {
    if hosts.is_empty() {
        return Some(0);
    }
    let host = host?;
    let covering = hosts.iter().filter(|pattern| pattern.includes(host));
    let closeness = |pattern: &HostPattern| match pattern {
        HostPattern::Below(suffix) => suffix.len(),
        HostPattern::Exact(_) => usize::MAX,
    };
    covering.map(closeness).max()
}

fn names(access: &Access) -> impl Iterator<Item = &str> {
    let asked = access.gate().into_iter().flat_map(|gate| gate.chain().authenticators());
    asked.map(|authenticator| authenticator.name())
}

/// A higher value means that fewer requests are admitted.
pub(super) fn strictness(access: &Access) -> u8 {
    match access {
        Access::Public => 0,
        Access::Optional(_) => 1,
        Access::Protected(_) => 2,
    }
}
