//! Where a request comes in. All that the entrances do differently before a request goes on is here.

use portcullis_wire::path::CanonicalPath;
use portcullis_wire::path::PathError;

use crate::generation::Route;
use crate::pipeline::rejection::Rejection;
use crate::transport::connection::fault;

/// Where a request comes in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Entrance {
    /// `portcullis explain`. Authenticators are asked, but no upstream is, and nothing is logged.
    Explain,
    /// A proxy in front that asks about a request of its own.
    Front,
    /// The public listener.
    Public {
        /// The length of the body in bytes, as far as the head of the request tells it.
        body: u64,
    },
}

impl Entrance {
    /// Whether the request is served, and not only explained.
    pub(super) fn serves(self) -> bool {
        self != Self::Explain
    }

    /// Whether a path below `/.portcullis/` may be asked for. A front has none of the gateway's pages.
    pub(super) fn admits_internal(self, path: &CanonicalPath) -> Result<(), Rejection> {
        if self == Self::Front {
            return Err(Rejection::Route);
        }
        if path.has_encoded_slash() {
            return Err(Rejection::malformed(PathError::ENCODED_SLASH));
        }
        Ok(())
    }

    /// Whether this entrance can serve a route: behind the public listener it needs an upstream, which takes bodies up to
    /// `max_body_size`. A front has both itself.
    pub(super) fn admits(self, route: &Route) -> Result<(), Rejection> {
        let Self::Public { body } = self else { return Ok(()) };
        if route.upstream.is_none() {
            return Err(Rejection::Upstream);
        }
        if route.config.max_body_size.is_some_and(|most| body > most) {
            fault::count("max_body_size");
            return Err(Rejection::Size);
        }
        Ok(())
    }
}
