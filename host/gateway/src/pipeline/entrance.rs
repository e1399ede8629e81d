//! The entrances of the pipeline. Everything that differs between them before a request is forwarded is here.

use portcullis_wire::path::CanonicalPath;
use portcullis_wire::path::PathError;

use crate::generation::Route;
use crate::pipeline::rejection::Rejection;
use crate::transport::connection::fault;

/// Where a request entered the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Entrance {
    /// `portcullis explain`. The authenticators are asked, but no upstream is, and nothing is logged.
    Explain,
    /// A front that asks about one of its requests.
    Front,
    /// The public listener.
    Public {
        /// The length of the body in bytes, or 0 if the head of the request doesn't tell.
        body: u64,
    },
}

impl Entrance {
    /// Whether the request is served, rather than only explained.
    pub(super) fn serves(self) -> bool {
        self != Self::Explain
    }

    /// Checks whether a path below `/.portcullis/` can be requested here. Fronts get none of the gateway's pages.
    pub(super) fn admits_internal(self, path: &CanonicalPath) -> Result<(), Rejection> {
        if self == Self::Front {
            return Err(Rejection::Route);
        }
        if path.has_encoded_slash() {
            return Err(Rejection::malformed(PathError::ENCODED_SLASH));
        }
        Ok(())
    }

    /// Checks whether a route can be served here. The public listener requires an upstream and enforces
    /// `max_body_size`; a front has its own upstream and its own limit.
    pub(super) fn admits(self, route: &Route) -> Result<(), Rejection> {
        let Self::Public { body } = self else { return Ok(()) };
        if route.upstream.is_none() {
            return Err(Rejection::Upstream);
        }
        match route.config.max_body_size {
            Some(most) if body > most => {
                fault::count("max_body_size");
                Err(Rejection::Size { body, most })
            }
            _ => Ok(()),
        }
    }
}
