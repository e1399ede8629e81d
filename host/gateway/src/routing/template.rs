//! The question of `authorize_with`: `GET /api/v1/clusters/{1}`, where `{1}` is the first segment of a request's path below
//! its route. A segment is bound as what it means and written anew, so that nothing in it can lead elsewhere.

use std::fmt;

use http::Method;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use portcullis_wire::path::CanonicalPath;

/// A method, and a path with places in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template {
    method: Method,
    parts: Vec<Part>,
    /// How many segments the route's own path has.
    depth: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// This segment, as it stands.
    Fixed(String),
    /// The segment of this number below the route, from 1.
    Bound(usize),
}

impl Template {
    /// Reads `GET /path/{1}`, for a route of this path. What is asked again and again must change nothing, so the method
    /// is GET or HEAD.
    pub(crate) fn parse(text: &str, route: &CanonicalPath) -> Result<Self, String> {
        let example = "expected a method and a path, such as \"GET /api/v1/clusters/{1}\"";
        let (method, path) = text.split_once(' ').ok_or(example)?;
        let method = match method {
            "GET" => Method::GET,
            "HEAD" => Method::HEAD,
            _ => {
                return Err(format!(
                    "{example}; the method is GET or HEAD, because a question changes nothing"
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

    /// The method of the question.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// The path of the question that a request's path leads to.
    ///
    /// Where a careless server would read another segment there than the gateway does, it would be asked about one thing
    /// and serve another.
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
            utf8_percent_encode(segment, RESERVED).to_string()
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

/// Why a path leads to no question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BindError {
    /// Two servers could read different segments there.
    Ambiguous,
    /// The path is too short.
    Missing,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ambiguous => "the path names two things, depending on who reads it",
            Self::Missing => "the path names nothing that the upstream could be asked about",
        })
    }
}

fn part(text: &str) -> Result<Part, String> {
    if !text.contains(['{', '}']) {
        return Ok(Part::Fixed(text.to_owned()));
    }
    let number = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    match number.and_then(|number| number.parse().ok()) {
        Some(number @ 1..=9) => Ok(Part::Bound(number)),
        _ => Err("a place is a whole segment, {1} to {9}".to_owned()),
    }
}

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    fn a_segment_below_the_route_is_bound_and_written_anew() {
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
    fn a_path_that_asks_about_nothing_or_two_things_is_refused() {
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
    fn a_question_that_is_none_is_refused() {
        for text in [
            "", "GET", "/api/{1}", "POST /api/{1}", "get /api/{1}", "GET api/{1}", "GET  /api/{1}", "GET /api/{1}?a=b",
            "GET /api/{0}", "GET /api/{10}", "GET /api/{}", "GET /api/{x}", "GET /api/a{1}", "GET /api/{1}{2}", "GET /{1",
            "GET /../{1}", "GET //{1}", "GET /a b", "GET /%2e%2e/{1}", "GET /a%2Fb",
        ] {
            assert!(Template::parse(text, &path("/clusters")).is_err(), "{text}");
        }
        let template = Template::parse("GET /api/{1}/x", &path("/clusters")).unwrap();
        assert_eq!(template.to_string(), "GET /api/{1}/x");
    }
}
