//! Finds routes that are more permissive than the route that would match without them. `check`, `explain` and the log at
//! the start warn about each, because an operator who protects `/` may expect everything below it to be protected too.

use std::fmt;
use std::sync::Arc;

use portcullis_wire::path::CanonicalPath;

use crate::generation::Access;
use crate::generation::Route;

/// The hosts, the path and the route itself. Without hosts, the route serves every host.
pub(super) type Placed<'a> = (&'a [String], &'a CanonicalPath, &'a Arc<Route>);

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
    /// Users of these authenticators.
    UsersOf(Vec<String>),
}

impl AccessWidening {
    /// Returns all widenings, in the order of the routes.
    pub(super) fn among(routes: &[Placed<'_>]) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for place in routes {
            for enclosing in replaced(place, routes) {
                let widening = Self::between(place.2, enclosing.2);
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
            if enclosing.access.gate().is_none() || others.is_empty() {
                return None;
            }
            Admitted::UsersOf(others)
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
/// the longest matching path. If this route lists hosts, the routes for every host below its path are replaced too.
fn replaced<'a>((hosts, path, route): &Placed<'_>, routes: &'a [Placed<'a>]) -> impl Iterator<Item = &'a Placed<'a>> {
    let others = || routes.iter().filter(|(_, _, other)| !Arc::ptr_eq(other, route));
    let enclosing = |host: Option<&String>| {
        let serves = |(named, prefix, _): &&Placed<'_>| {
            (named.is_empty() || host.is_some_and(|host| named.contains(host))) && prefix.covers(path)
        };
        others()
            .filter(serves)
            .max_by_key(|(named, prefix, _)| (!named.is_empty(), prefix.depth()))
    };
    let enclosing = if hosts.is_empty() {
        vec![enclosing(None)]
    } else {
        Vec::from_iter(hosts.iter().map(|host| enclosing(Some(host))))
    };
    let below = |(named, prefix, _): &&Placed<'_>| !hosts.is_empty() && named.is_empty() && path.covers(prefix);
    let below = Vec::from_iter(others().filter(below));
    enclosing.into_iter().flatten().chain(below)
}

fn names(access: &Access) -> impl Iterator<Item = &str> {
    let asked = access.gate().into_iter().flat_map(|gate| gate.chain().authenticators());
    asked.map(|authenticator| authenticator.name())
}

/// A higher value means that fewer requests are admitted.
fn strictness(access: &Access) -> u8 {
    match access {
        Access::Public => 0,
        Access::Optional(_) => 1,
        Access::Protected(_) => 2,
    }
}
