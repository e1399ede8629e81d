//! The request methods that the gateway serves, and those of a route. CONNECT and TRACE are rejected on every route.

use std::fmt;

use http::Method;

/// Whether the gateway serves requests with this method. `CONNECT` would open a tunnel, and the response to `TRACE` would
/// show the client the headers that the gateway adds (RFC 9110, section 9.3.8).
pub(crate) fn is_served(method: &Method) -> bool {
    *method != Method::CONNECT && *method != Method::TRACE
}

/// The methods of a route.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Methods(Vec<Method>);

impl Methods {
    /// These methods, or all methods if there are none. HEAD goes with GET, because it asks for the same (RFC 9110,
    /// section 9.3.2).
    pub(crate) fn new(listed: impl IntoIterator<Item = Method>) -> Self {
        let mut methods = Vec::new();
        for method in listed {
            let head = (method == Method::GET).then_some(Method::HEAD);
            for method in [method].into_iter().chain(head) {
                if !methods.contains(&method) {
                    methods.push(method);
                }
            }
        }
        Self(methods)
    }

    /// Whether all methods are meant.
    pub(crate) fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a method is meant.
    pub(crate) fn contain(&self, method: &Method) -> bool {
        self.are_all() || self.0.contains(method)
    }

    /// Whether any method is meant by both.
    pub(crate) fn overlap(&self, other: &Self) -> bool {
        self.are_all() || other.are_all() || self.0.iter().any(|method| other.0.contains(method))
    }

    /// The methods one by one. There are none if all are meant.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Method> {
        self.0.iter()
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.are_all() {
            return f.write_str("every method");
        }
        f.write_str(&Vec::from_iter(self.0.iter().map(Method::as_str)).join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_goes_with_get_and_none_are_all() {
        let reads = Methods::new([Method::GET]);
        assert!(reads.contain(&Method::HEAD) && !reads.contain(&Method::POST));
        assert_eq!(reads.to_string(), "GET, HEAD");
        let all = Methods::new([]);
        assert!(all.contain(&Method::POST) && all.are_all() && all.overlap(&reads));
        assert!(!reads.overlap(&Methods::new([Method::PUT])));
        assert!(reads.overlap(&Methods::new([Method::HEAD])));
    }

    #[test]
    fn connect_and_trace_are_not_served() {
        for (method, served) in [
            (Method::GET, true),
            (Method::OPTIONS, true),
            (Method::from_bytes(b"PROPFIND").unwrap(), true),
            (Method::CONNECT, false),
            (Method::TRACE, false),
        ] {
            assert_eq!(is_served(&method), served, "{method}");
        }
    }
}
