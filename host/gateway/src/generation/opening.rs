//! Routes that let in whom the route around them would not. Each is said aloud, by `check`, `explain` and the log: whoever
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
pub(crate) struct Opening {
    /// The route that serves them.
    pub(crate) route: Arc<Route>,
    /// The one that would.
    pub(crate) around: Arc<Route>,
    more: More,
}

/// What a route lets in that the one around it doesn't.
#[derive(Clone, Debug, Eq, PartialEq)]
enum More {
    /// Requests without credentials.
    Anonymous,
    /// Whoever these authenticators vouch for.
    VouchedForBy(Vec<String>),
}

impl Opening {
    /// All openings among the routes, in their order.
    pub(super) fn among(routes: &[Placed<'_>]) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for place in routes {
            for around in taken_from(place, routes) {
                let opening = Self::between(place.2, around.2);
                let is_new = |opening: &Self| {
                    let same = |other: &Self| {
                        Arc::ptr_eq(&other.route, &opening.route) && Arc::ptr_eq(&other.around, &opening.around)
                    };
                    !found.iter().any(same)
                };
                found.extend(opening.filter(is_new));
            }
        }
        found
    }

    fn between(route: &Arc<Route>, around: &Arc<Route>) -> Option<Self> {
        let more = if rank(&route.access) < rank(&around.access) {
            More::Anonymous
        } else {
            let trusted = Vec::from_iter(names(&around.access));
            let others = names(&route.access).filter(|name| !trusted.contains(name));
            let others = Vec::from_iter(others.map(str::to_owned));
            if around.access.gate().is_none() || others.is_empty() {
                return None;
            }
            More::VouchedForBy(others)
        };
        Some(Self {
            route: Arc::clone(route),
            around: Arc::clone(around),
            more,
        })
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, around) = (&self.route.name, &self.around.name);
        match &self.more {
            More::Anonymous => {
                let (is, was) = (self.route.access.label(), self.around.access.label());
                write!(f, "{name} is {is}, and {around} is {was}")
            }
            More::VouchedForBy(others) => {
                write!(f, "{name} lets in users of {}, and {around} doesn't", others.join(", "))
            }
        }
    }
}

/// The routes that would serve requests of this one if it weren't there: for each host the one around it, and where it
/// names a host all below its path that name none.
fn taken_from<'a>((hosts, path, route): &Placed<'_>, routes: &'a [Placed<'a>]) -> impl Iterator<Item = &'a Placed<'a>> {
    let others = || routes.iter().filter(|(_, _, other)| !Arc::ptr_eq(other, route));
    let around = |host: Option<&String>| {
        let serves = |(named, prefix, _): &&Placed<'_>| {
            (named.is_empty() || host.is_some_and(|host| named.contains(host))) && prefix.covers(path)
        };
        others()
            .filter(serves)
            .max_by_key(|(named, prefix, _)| (!named.is_empty(), prefix.depth()))
    };
    let around = if hosts.is_empty() {
        vec![around(None)]
    } else {
        Vec::from_iter(hosts.iter().map(|host| around(Some(host))))
    };
    let below = |(named, prefix, _): &&Placed<'_>| !hosts.is_empty() && named.is_empty() && path.covers(prefix);
    let below = Vec::from_iter(others().filter(below));
    around.into_iter().flatten().chain(below)
}

fn names(access: &Access) -> impl Iterator<Item = &str> {
    let asked = access.gate().into_iter().flat_map(|gate| gate.chain().authenticators());
    asked.map(|authenticator| authenticator.name())
}

/// How much is asked of a request.
fn rank(access: &Access) -> u8 {
    match access {
        Access::Public => 0,
        Access::Optional(_) => 1,
        Access::Protected(_) => 2,
    }
}
