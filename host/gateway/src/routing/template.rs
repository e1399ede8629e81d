//! The template of `authorize_with`, such as `GET /api/v1/clusters/{1}`, where `{1}` is the first segment of a request's path
//! below its route. Segments are decoded and encoded again, so that a segment can't change the rest of the path.

use std::fmt;

use http::Method;
use portcullis_wire::path::CanonicalPath;

use crate::percent;
use crate::routing::literal;

/// A method and a path with placeholders.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template {
    method: Method,
    parts: Vec<Part>,
    /// The number of segments in the route's path.
    depth: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// A literal segment.
    Fixed(String),
    /// A placeholder for the segment with this number below the route, counted from 1.
    Bound(usize),
}

impl Template {
    /// Parses a template such as `GET /path/{1}` for the route with this path. The method is GET or HEAD, because the
    /// authorization request is sent any number of times and must not change anything.
    pub(crate) fn parse(text: &str, route: &CanonicalPath) -> Result<Self, String> {
        let example = "expected a method and a path, such as \"GET /api/v1/clusters/{1}\"";
        let (method, path) = text.split_once(' ').ok_or(example)?;
        let method = match method {
            "GET" => Method::GET,
            "HEAD" => Method::HEAD,
            _ => {
                return Err(format!(
                    "{example}; the method must be GET or HEAD, because authorization requests must not change anything"
                ));
            }
        };
        let inner = path.strip_prefix('/').ok_or(example)?;
        let parts = inner.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
        let template = Self {
            method,
            parts,
            depth: route.depth(),
        };
        CanonicalPath::parse(&template.written(|_| "x".to_owned())).map_err(|error| error.to_string())?;
        Ok(template)
    }

    /// The method of the authorization request.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path of the authorization request for a request's path.
    ///
    /// If a careless server could read a segment differently from the gateway, the result is an error. Otherwise the
    /// upstream would authorize one resource and serve another.
    pub(crate) fn bind(&self, path: &CanonicalPath) -> Result<CanonicalPath, BindError> {
        let readings = Vec::from_iter(path.other_readings());
        for number in self.numbers() {
            let bound = self.segment(path, number).ok_or(BindError::Missing)?;
            if readings.iter().any(|other| self.segment(other, number) != Some(bound)) {
                return Err(BindError::Ambiguous);
            }
        }
        let written = self.written(|number| {
            let segment = self.segment(path, number).unwrap_or_default();
            percent::encode(segment).to_string()
        });
        CanonicalPath::parse(&written).map_err(|_| BindError::Ambiguous)
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter_map(|part| match part {
            Part::Fixed(_) => None,
            Part::Bound(number) => Some(*number),
        })
    }

    fn segment<'a>(&self, path: &'a CanonicalPath, number: usize) -> Option<&'a str> {
        path.segments().nth(self.depth + number - 1)
    }

    fn written(&self, bound: impl Fn(usize) -> String) -> String {
        let segment = |part: &Part| match part {
            Part::Fixed(text) => text.clone(),
            Part::Bound(number) => bound(*number),
        };
        let segments = Vec::from_iter(self.parts.iter().map(segment));
        format!("/{}", segments.join("/"))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.written(|number| format!("{{{number}}}")))
    }
}

/// Why no authorization request can be made for a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BindError {
    /// Two servers could read a segment differently.
    Ambiguous,
    /// The path has fewer segments than the template needs.
    Missing,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ambiguous => "the path can be read in two ways",
            Self::Missing => "the path is shorter than authorize_with needs",
        })
    }
}

fn part(text: &str) -> Result<Part, String> {
    if !text.contains(['{', '}']) {
        return match literal::check(&format!("/{text}")) {
            Ok(()) => Ok(Part::Fixed(text.to_owned())),
            Err(pattern) => Err(format!("{pattern}; a placeholder is a whole segment, {{1}} to {{9}}")),
        };
    }
    let number = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    match number.and_then(|number| number.parse().ok()) {
        Some(number @ 1..=9) => Ok(Part::Bound(number)),
        _ => Err("a placeholder is a whole segment, {1} to {9}".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse_with_encoded_slashes(text).unwrap()
    }

    fn bound(template: &str, route: &str, asked: &str) -> Result<String, BindError> {
        let template = Template::parse(template, &path(route)).unwrap();
        template.bind(&path(asked)).map(|path| path.as_str().to_owned())
    }

    #[test]
    #[rustfmt::skip]
    fn a_segment_below_the_route_is_decoded_and_encoded_again() {
        for (template, route, asked, expected) in [
            ("GET /api/{1}", "/clusters", "/clusters/a", "/api/a"),
            ("GET /api/{1}", "/clusters", "/clusters/a/", "/api/a"),
            ("GET /api/{1}", "/clusters", "/clusters/a/status/ws", "/api/a"),
            ("GET /api/{1}", "/clusters", "/%63lusters/%61.b/x", "/api/a.b"),
            ("GET /api/{1}", "/", "/a/b", "/api/a"),
            ("GET /api/{2}/of/{1}", "/x/y", "/x/y/one/two", "/api/two/of/one"),
            ("GET /api/{1}", "/clusters", "/clusters/a%20b&c=d@e:1", "/api/a%20b%26c%3Dd%40e%3A1"),
            ("GET /api/{1}", "/clusters", "/clusters/m%C3%BCller", "/api/m%C3%BCller"),
            ("GET /api/{1}", "/clusters", "/clusters/a/b;c=1/d%3Fe", "/api/a"),
            ("GET /api/{1}", "/clusters", "/clusters/a/b%2Fc", "/api/a"),
            ("HEAD /may", "/clusters", "/clusters/a", "/may"),
        ] {
            assert_eq!(bound(template, route, asked).as_deref(), Ok(expected), "{template} {route} {asked}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn a_short_or_ambiguous_path_is_rejected() {
        for (asked, expected) in [
            ("/clusters", BindError::Missing),
            ("/clusters/", BindError::Missing),
            ("/clusters/a;b", BindError::Ambiguous),
            ("/clusters/a;b/status", BindError::Ambiguous),
            ("/clusters/a%3Fb/status", BindError::Ambiguous),
            ("/clusters/a%23/status", BindError::Ambiguous),
            ("/clusters/a./status", BindError::Ambiguous),
            ("/clusters/a%20/status", BindError::Ambiguous),
            ("/clusters/a%2Fb/status", BindError::Ambiguous),
            ("/clusters%2Fa/b", BindError::Ambiguous),
        ] {
            assert_eq!(bound("GET /api/{1}", "/clusters", asked), Err(expected), "{asked}");
        }
        assert_eq!(bound("GET /api/{1}/{2}", "/clusters", "/clusters/a"), Err(BindError::Missing));
    }

    #[test]
    #[rustfmt::skip]
    fn an_invalid_template_is_rejected() {
        for text in [
            "", "GET", "/api/{1}", "POST /api/{1}", "get /api/{1}", "GET api/{1}", "GET  /api/{1}", "GET /api/{1}?a=b",
            "GET /api/{0}", "GET /api/{10}", "GET /api/{}", "GET /api/{x}", "GET /api/a{1}", "GET /api/{1}{2}", "GET /{1",
            "GET /api/*", "GET /api/:id", "GET /../{1}", "GET //{1}", "GET /a b", "GET /%2e%2e/{1}", "GET /a%2Fb",
        ] {
            assert!(Template::parse(text, &path("/clusters")).is_err(), "{text}");
        }
        let template = Template::parse("GET /api/{1}/x", &path("/clusters")).unwrap();
        assert_eq!(template.to_string(), "GET /api/{1}/x");
    }
}
