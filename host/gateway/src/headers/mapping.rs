//! Maps what an upstream says of its own URLs back to those that the client knows, as Apache's `ProxyPassReverse` does:
//! a route can remove a prefix from the path, and can give the upstream another host.

use http::HeaderMap;
use http::HeaderValue;
use http::Uri;
use http::header;
use portcullis_wire::cookies;

/// How the URLs of an upstream differ from those of the client.
#[derive(Debug)]
pub(crate) struct Mapping<'a> {
    /// What is removed from the client's path. Empty if nothing is; never ends with a slash.
    pub(crate) prefix: &'a str,
    /// What is put in front of the path instead. Empty, or starts with a slash and doesn't end with one.
    pub(crate) base: &'a str,
    /// The host that the client requested.
    pub(crate) client: Option<&'a str>,
    /// The hosts by which the upstream knows itself.
    pub(crate) upstream: Vec<&'a str>,
}

impl Mapping<'_> {
    /// Rewrites `Location`, `Content-Location` and the paths of cookies.
    pub(crate) fn rewrite(&self, headers: &mut HeaderMap) {
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            let values = Vec::from_iter(headers.get_all(&name).iter().cloned());
            headers.remove(&name);
            for value in values {
                let rewritten = value.to_str().ok().and_then(|url| self.url(url));
                let rewritten = rewritten.and_then(|url| HeaderValue::try_from(url).ok());
                headers.append(name.clone(), rewritten.unwrap_or(value));
            }
        }
        if !self.prefix.is_empty() {
            cookies::map_paths(headers, |path| self.path(path));
        }
    }

    /// The client's URL for one of the upstream's. `None` if it is the same, or the URL of another server.
    fn url(&self, url: &str) -> Option<String> {
        if url.starts_with('/') && !url.starts_with("//") {
            return self.path(url);
        }
        let has_scheme = url.starts_with("http://") || url.starts_with("https://");
        if !has_scheme && !url.starts_with("//") {
            // It is relative to the client's URL.
            return None;
        }
        let absolute = if has_scheme {
            url.to_owned()
        } else {
            format!("http:{url}")
        };
        let (uri, fragment) = match absolute.split_once('#') {
            Some((uri, fragment)) => (uri, format!("#{fragment}")),
            None => (absolute.as_str(), String::new()),
        };
        let uri: Uri = uri.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let is = |known: &&str| known.eq_ignore_ascii_case(authority);
        let mapped = || self.path(path).unwrap_or_else(|| path.to_owned());
        if self.client.iter().any(is) {
            let scheme = if has_scheme {
                format!("{}:", uri.scheme_str()?)
            } else {
                String::new()
            };
            return Some(format!("{scheme}//{authority}{}{fragment}", mapped()));
        }
        // The client knows the scheme and the host.
        self.upstream.iter().any(is).then(|| format!("{}{fragment}", mapped()))
    }

    /// The client's path for one of the upstream's. `None` if it is the same, or if it isn't below `base`.
    fn path(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.base)?;
        let is_below = rest.is_empty() || rest.starts_with(['/', '?', '#']);
        (is_below && !self.prefix.is_empty()).then(|| format!("{}{rest}", self.prefix))
    }
}

/// The path below a prefix of this many segments.
pub(crate) fn below(path: &str, depth: usize) -> &str {
    let slash = path.match_indices('/').nth(depth).map(|(index, _)| index);
    slash.and_then(|index| path.get(index..)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_removed_by_segments() {
        for (path, depth, expected) in [
            ("/api/x", 1, "/x"),
            ("/%61pi/x/", 1, "/x/"),
            ("/api", 1, "/"),
            ("/api/", 1, "/"),
            ("/a/b/c/d", 2, "/c/d"),
            ("/a", 0, "/a"),
        ] {
            assert_eq!(below(path, depth), expected, "{path} {depth}");
        }
    }

    #[test]
    fn only_urls_of_the_upstream_are_mapped_back() {
        let mapping = Mapping {
            prefix: "/app",
            base: "/base",
            client: Some("gate.example"),
            upstream: vec!["app.internal:8080"],
        };
        for (url, expected) in [
            ("/base/login?next=/x#y", "/app/login?next=/x#y"),
            ("/base", "/app"),
            ("/basement", "/basement"),
            ("/other", "/other"),
            ("login", "login"),
            ("?a=b", "?a=b"),
            ("http://app.internal:8080/base/login", "/app/login"),
            ("https://APP.internal:8080/base/a#b", "/app/a#b"),
            ("//app.internal:8080/base/a", "/app/a"),
            ("http://app.internal/base/a", "http://app.internal/base/a"),
            ("https://gate.example/base/a", "https://gate.example/app/a"),
            ("//gate.example/base/a", "//gate.example/app/a"),
            ("https://idp.example/base/login", "https://idp.example/base/login"),
            ("https://gate.example.evil/base/a", "https://gate.example.evil/base/a"),
            ("mailto:a@b", "mailto:a@b"),
        ] {
            let mut headers = HeaderMap::from_iter([(header::LOCATION, url.parse().unwrap())]);
            mapping.rewrite(&mut headers);
            assert_eq!(headers[header::LOCATION], expected, "{url}");
        }
    }

    #[test]
    fn the_paths_of_cookies_are_mapped_back_with_a_prefix() {
        for (prefix, base, expected) in [("/app", "/base", "a=1; Path=/app/x"), ("", "", "a=1; Path=/base/x")] {
            let mapping = Mapping {
                prefix,
                base,
                client: None,
                upstream: Vec::new(),
            };
            let cookie = HeaderValue::from_static("a=1; Path=/base/x");
            let mut headers = HeaderMap::from_iter([(header::SET_COOKIE, cookie)]);
            mapping.rewrite(&mut headers);
            assert_eq!(headers[header::SET_COOKIE], expected);
        }
    }

    #[test]
    fn without_a_prefix_only_the_host_is_mapped_back() {
        let mapping = Mapping {
            prefix: "",
            base: "",
            client: Some("gate.example"),
            upstream: vec!["app.internal"],
        };
        for (url, expected) in [
            ("/login", "/login"),
            ("http://app.internal/login", "/login"),
            ("http://app.internal", "/"),
            ("https://gate.example/login", "https://gate.example/login"),
        ] {
            let mut headers = HeaderMap::from_iter([(header::CONTENT_LOCATION, url.parse().unwrap())]);
            mapping.rewrite(&mut headers);
            assert_eq!(headers[header::CONTENT_LOCATION], expected, "{url}");
        }
    }
}
