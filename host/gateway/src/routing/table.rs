//! Finds the route of a request. A route that lists the host wins over a route for every host; then the longest path wins.

use std::collections::HashMap;

use portcullis_wire::path::CanonicalPath;

/// The routes by host and path.
#[derive(Debug)]
pub(crate) struct RouteTable<T> {
    named: HashMap<String, Prefixes<T>>,
    every: Prefixes<T>,
}

impl<T: Clone> RouteTable<T> {
    /// Makes a table from the hosts, the path and the value of each route. Hosts are in lower case and without a port. A
    /// route without hosts serves every host.
    pub(crate) fn new<'a>(routes: impl IntoIterator<Item = (&'a [String], CanonicalPath, T)>) -> Self {
        let mut table = Self {
            named: HashMap::new(),
            every: Prefixes(Vec::new()),
        };
        for (hosts, path, route) in routes {
            if hosts.is_empty() {
                table.every.insert(path, route);
                continue;
            }
            for host in hosts {
                let prefixes = table.named.entry(host.clone()).or_insert_with(|| Prefixes(Vec::new()));
                prefixes.insert(path.clone(), route.clone());
            }
        }
        table
    }

    /// Whether any route serves this host. A port in `authority` is ignored.
    pub(crate) fn serves_host(&self, authority: &str) -> bool {
        !self.every.0.is_empty() || self.named.contains_key(&host(authority))
    }

    /// Returns the route of a request. A port in `authority` is ignored.
    pub(crate) fn find(&self, authority: Option<&str>, path: &CanonicalPath) -> Option<&T> {
        let named = authority.and_then(|authority| self.named.get(&host(authority)));
        named
            .and_then(|prefixes| prefixes.find(path))
            .or_else(|| self.every.find(path))
    }
}

/// The routes of one host, sorted by the number of path segments in descending order.
#[derive(Debug)]
struct Prefixes<T>(Vec<(CanonicalPath, T)>);

impl<T> Prefixes<T> {
    fn insert(&mut self, path: CanonicalPath, route: T) {
        let index = self.0.partition_point(|(other, _)| other.depth() >= path.depth());
        self.0.insert(index, (path, route));
    }

    fn find(&self, path: &CanonicalPath) -> Option<&T> {
        self.0
            .iter()
            .find(|(prefix, _)| prefix.covers(path))
            .map(|(_, route)| route)
    }
}

/// Returns the host in the form that routes use: in lower case (RFC 3986, section 3.2.2), without a final dot (RFC 1034,
/// section 3.1) and without a port.
fn host(authority: &str) -> String {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let host = authority.get(..end).unwrap_or(authority);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    fn table() -> RouteTable<&'static str> {
        let hub = ["hub.example.org".to_owned(), "[::1]".to_owned()];
        RouteTable::new([
            (&[][..], path("/"), "root"),
            (&[][..], path("/a/b"), "deep"),
            (&[][..], path("/a"), "shallow"),
            (&hub[..], path("/a"), "hub"),
        ])
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        for (asked, route) in [
            ("/", "root"),
            ("/x", "root"),
            ("/a", "shallow"),
            ("/a/", "shallow"),
            ("/%61/x", "shallow"),
            ("/ab", "root"),
            ("/a/b", "deep"),
            ("/a/b/c", "deep"),
            ("/a/bc", "shallow"),
        ] {
            assert_eq!(table().find(None, &path(asked)), Some(&route), "{asked}");
        }
    }

    #[test]
    fn a_route_that_lists_the_host_wins() {
        for (authority, asked, route) in [
            ("hub.example.org", "/a/b", "hub"),
            ("HUB.Example.ORG:8000", "/a", "hub"),
            ("hub.example.org.", "/a", "hub"),
            ("hub.example.org.:80", "/a", "hub"),
            ("[::1]", "/a", "hub"),
            ("[::1]:8000", "/a", "hub"),
            ("hub.example.org", "/x", "root"),
            ("example.org", "/a", "shallow"),
            ("evil-hub.example.org", "/a", "shallow"),
            ("hub.example.org@evil", "/a", "shallow"),
            ("", "/a", "shallow"),
        ] {
            assert_eq!(
                table().find(Some(authority), &path(asked)),
                Some(&route),
                "{authority} {asked}"
            );
        }
    }

    #[test]
    fn a_request_that_matches_no_route_has_no_route() {
        let table = RouteTable::new([(&["a".to_owned()][..], path("/"), "a"), (&[][..], path("/x"), "x")]);
        assert_eq!(table.find(Some("b"), &path("/y")), None);
        assert_eq!(table.find(None, &path("/")), None);
    }
}
