//! Routes that let in whom the route enclosing them would not. Each is said aloud, by `check`, `explain` and the log: whoever
//! reads that `/` is protected takes it for all that is below.

use std::fmt;
use std::sync::Arc;

use portcullis_wire::path::CanonicalPath;

use crate::generation::Access;
use crate::generation::Route;

/// A route with the place it serves: its hosts, none for every one, and its path.
pub(super) type Placed<'a> = (&'a [String], &'a CanonicalPath, &'a Arc<Route>);

/// A route that lets in whom another would not, on requests that the other would serve without it.
#[derive(Clone, Debug)]
pub(crate) struct AccessWidening {
    /// The route that serves them.
    pub(crate) route: Arc<Route>,
    /// The one that would.
    pub(crate) enclosing: Arc<Route>,
    admitted: Admitted,
}

/// What a route lets in that the one enclosing it doesn't.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Admitted {
    /// Requests without credentials.
    Anonymous,
    /// Whoever these authenticators vouch for.
    UsersOf(Vec<String>),
}

impl AccessWidening {
    /// All widenings among the routes, in their order.
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
                    "{name} lets in users of {}, and {enclosing} doesn't",
                    others.join(", ")
                )
            }
        }
    }
}

/// The routes that would serve requests of this one if it weren't there: for each host the one enclosing it, and where it
/// names a host all below its path that name none.
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

/// How much is asked of a request.
fn strictness(access: &Access) -> u8 {
    match access {
        Access::Public => 0,
        Access::Optional(_) => 1,
        Access::Protected(_) => 2,
    }
}
