//! Finds the route of a request by host, path and method. A route for the very host wins over one for a wildcard, and
//! that over one for every host; then the longest path wins, and then a route that lists the method.

use std::collections::HashMap;

use http::Method;
use portcullis_wire::path::CanonicalPath;

use crate::routing::host::HostPattern;
use crate::routing::host::host_of;
use crate::routing::method::Methods;

/// What a route matches.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    /// The hosts. Empty for every host.
    pub(crate) hosts: Vec<HostPattern>,
    /// The prefix of the path.
    pub(crate) path: CanonicalPath,
    /// The methods.
    pub(crate) methods: Methods,
}

impl Matcher {
    /// Whether it serves a host of the other one.
    pub(crate) fn serves_hosts_of(&self, other: &Self) -> bool {
        let includes = |host: &HostPattern| self.hosts.iter().any(|own| own.includes(host));
        self.hosts.is_empty() || other.hosts.iter().any(includes)
    }

    /// Whether both match some request equally well.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        let same_host = match (self.hosts.is_empty(), other.hosts.is_empty()) {
            (true, true) => true,
            (false, false) => self.hosts.iter().any(|host| other.hosts.contains(host)),
            _ => false,
        };
        let same_methods = self.methods.are_all() == other.methods.are_all() && self.methods.overlap(&other.methods);
        same_host && same_methods && self.path.decoded() == other.path.decoded()
    }
}

/// The routes by host, path and method.
#[derive(Debug)]
pub(crate) struct RouteTable<T> {
    named: HashMap<String, Prefixes<T>>,
    /// The wildcards by their suffix, the longest first.
    below: Vec<(String, Prefixes<T>)>,
    every: Prefixes<T>,
}

impl<T: Clone> RouteTable<T> {
    /// Makes a table from what each route matches and its value.
    pub(crate) fn new<'a>(routes: impl IntoIterator<Item = (&'a Matcher, T)>) -> Self {
        let mut table = Self {
            named: HashMap::new(),
            below: Vec::new(),
            every: Prefixes::default(),
        };
        for (matcher, route) in routes {
            if matcher.hosts.is_empty() {
                table.every.insert(matcher, route);
                continue;
            }
            for host in &matcher.hosts {
                table.prefixes(host).insert(matcher, route.clone());
            }
        }
        table.below.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        table
    }

    fn prefixes(&mut self, host: &HostPattern) -> &mut Prefixes<T> {
        match host {
            HostPattern::Exact(name) => self.named.entry(name.clone()).or_default(),
            HostPattern::Below(suffix) => {
                let known = self.below.iter().position(|(known, _)| known == suffix);
                let index = known.unwrap_or_else(|| {
                    self.below.push((suffix.clone(), Prefixes::default()));
                    self.below.len() - 1
                });
                // The index is that of an element.
                match self.below.get_mut(index) {
                    Some((_, prefixes)) => prefixes,
                    None => &mut self.every,
                }
            }
        }
    }

    /// Whether any route serves this host. A port in `authority` is ignored.
    pub(crate) fn serves_host(&self, authority: &str) -> bool {
        self.of_host(Some(authority))
            .any(|prefixes| !prefixes.routes.is_empty())
    }

    /// Returns the route of a request. A port in `authority` is ignored.
    pub(crate) fn find(&self, authority: Option<&str>, path: &CanonicalPath, method: &Method) -> Option<&T> {
        self.of_host(authority).find_map(|prefixes| prefixes.find(path, method))
    }

    /// The methods with which the path is served, for a request that no route serves. `None` if it is served with none.
    pub(crate) fn methods_of(&self, authority: Option<&str>, path: &CanonicalPath) -> Option<Methods> {
        let covering = self.of_host(authority).flat_map(|prefixes| prefixes.covering(path));
        let methods = Methods::new(covering.flat_map(|(matcher, _)| matcher.methods.iter().cloned()));
        (!methods.are_all()).then_some(methods)
    }

    /// The routes that serve a host, in the order in which they are tried.
    fn of_host(&self, authority: Option<&str>) -> impl Iterator<Item = &Prefixes<T>> {
        let host = authority.map(host_of);
        let named = host.as_ref().and_then(|host| self.named.get(host));
        let below = self.below.iter().filter(move |(suffix, _)| {
            let covers = |host: &String| host.len() > suffix.len() && host.ends_with(suffix.as_str());
            host.as_ref().is_some_and(covers)
        });
        let below = below.map(|(_, prefixes)| prefixes);
        named.into_iter().chain(below).chain([&self.every])
    }
}

/// The routes of one host by their prefix.
#[derive(Debug)]
struct Prefixes<T> {
    /// The routes of each prefix, without its final slash. Those that list methods come first.
    routes: HashMap<String, Vec<(Matcher, T)>>,
    /// The number of segments of the longest prefix.
    depth: usize,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self {
            routes: HashMap::new(),
            depth: 0,
        }
    }
}

impl<T> Prefixes<T> {
    fn insert(&mut self, matcher: &Matcher, route: T) {
        let prefix = matcher.path.decoded().trim_end_matches('/');
        let routes = self.routes.entry(prefix.to_owned()).or_default();
        let listing = |matcher: &Matcher| !matcher.methods.are_all();
        let index = routes.partition_point(|(other, _)| listing(other) >= listing(matcher));
        routes.insert(index, (matcher.clone(), route));
        self.depth = self.depth.max(matcher.path.depth());
    }

    fn find(&self, path: &CanonicalPath, method: &Method) -> Option<&T> {
        let mut covering = self.covering(path);
        let found = covering.find(|(matcher, _)| matcher.methods.contain(method));
        found.map(|(_, route)| route)
    }

    /// The routes that cover a path, the longest prefix first.
    ///
    /// The effort grows with the depth of the routes, not with their number.
    fn covering(&self, path: &CanonicalPath) -> impl Iterator<Item = &(Matcher, T)> {
        let path = path.decoded();
        let ancestors = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        let prefixes = ancestors.chain([path]).take(self.depth + 1);
        let covering = Vec::from_iter(prefixes.filter_map(|prefix| self.routes.get(prefix)));
        covering.into_iter().rev().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    fn table(routes: &[(&[&str], &str, &[&str], &'static str)]) -> RouteTable<&'static str> {
        let routes = Vec::from_iter(routes.iter().map(|(hosts, prefix, methods, name)| {
            let matcher = Matcher {
                hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
                path: path(prefix),
                methods: Methods::new(methods.iter().map(|method| method.parse().unwrap())),
            };
            (matcher, *name)
        }));
        RouteTable::new(routes.iter().map(|(matcher, name)| (matcher, *name)))
    }

    fn found(table: &RouteTable<&'static str>, authority: Option<&str>, asked: &str, method: &str) -> &'static str {
        let method = method.parse().unwrap();
        table.find(authority, &path(asked), &method).copied().unwrap_or("none")
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let table = table(&[
            (&[], "/", &[], "root"),
            (&[], "/a/b", &[], "deep"),
            (&[], "/a", &[], "shallow"),
        ]);
        for (asked, route) in [
            ("/", "root"),
            ("/x", "root"),
            ("/a", "shallow"),
            ("/a/", "shallow"),
            ("/%61/x", "shallow"),
            ("/ab", "root"),
            ("/a/b", "deep"),
            ("/a/b/", "deep"),
            ("/a/b/c", "deep"),
            ("/a/b/c/d/", "deep"),
            ("/a/bc", "shallow"),
        ] {
            assert_eq!(found(&table, None, asked, "GET"), route, "{asked}");
        }
    }

    #[test]
    fn the_narrowest_host_wins() {
        let table = table(&[
            (&[], "/a", &[], "every"),
            (&["hub.example.org", "[::1]"], "/a", &[], "hub"),
            (&["*.example.org"], "/a", &[], "wildcard"),
            (&["*.lab.example.org"], "/a", &[], "narrow"),
            (&["*.example.org"], "/only", &[], "only"),
        ]);
        for (authority, asked, route) in [
            ("hub.example.org", "/a/b", "hub"),
            ("HUB.Example.ORG:8000", "/a", "hub"),
            ("hub.example.org.", "/a", "hub"),
            ("hub.example.org.:80", "/a", "hub"),
            ("[::1]", "/a", "hub"),
            ("[::1]:8000", "/a", "hub"),
            ("hub.example.org", "/only", "only"),
            ("hub.example.org", "/x", "none"),
            ("a.example.org:1", "/a", "wildcard"),
            ("a.b.example.org", "/a", "wildcard"),
            ("x.lab.example.org", "/a", "narrow"),
            ("x.lab.example.org", "/only", "only"),
            ("lab.example.org", "/a", "wildcard"),
            ("example.org", "/a", "every"),
            (".example.org", "/a", "every"),
            ("evil-hub.example.com", "/a", "every"),
            ("hub.example.org@evil", "/a", "every"),
            ("", "/a", "every"),
        ] {
            assert_eq!(
                found(&table, Some(authority), asked, "GET"),
                route,
                "{authority} {asked}"
            );
        }
    }

    #[test]
    fn a_route_that_lists_the_method_wins_and_others_are_left_to_wider_ones() {
        let table = table(&[
            (&[], "/", &[], "root"),
            (&[], "/a", &["GET"], "reads"),
            (&[], "/a", &["PUT", "DELETE"], "writes"),
            (&[], "/b", &[], "any"),
            (&[], "/b", &["POST"], "posts"),
        ]);
        for (asked, method, route) in [
            ("/a/x", "GET", "reads"),
            ("/a", "HEAD", "reads"),
            ("/a", "PUT", "writes"),
            ("/a", "POST", "root"),
            ("/b", "POST", "posts"),
            ("/b", "GET", "any"),
        ] {
            assert_eq!(found(&table, None, asked, method), route, "{method} {asked}");
        }
    }

    #[test]
    fn a_request_that_matches_no_route_has_no_route() {
        let table = table(&[(&["a"], "/", &[], "a"), (&[], "/x", &["GET"], "x")]);
        assert_eq!(found(&table, Some("b"), "/y", "GET"), "none");
        assert_eq!(found(&table, None, "/", "GET"), "none");
        assert_eq!(found(&table, None, "/x", "POST"), "none");
        let methods = |asked| table.methods_of(None, &path(asked)).map(|methods| methods.to_string());
        assert_eq!((methods("/x"), methods("/y")), (Some("GET, HEAD".to_owned()), None));
        assert!(table.serves_host("a") && table.serves_host("b"));
    }
}
