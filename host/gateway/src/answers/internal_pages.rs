//! The gateway's own pages. All their paths are below `/.portcullis/`, and none of them is ever forwarded.

use http::Response;
use http::StatusCode;
use portcullis_wire::path::CanonicalPath;

use crate::answers::response;
use crate::proxy::body::Body;

/// Whether a path is one of the gateway's own, in the strict or in the lenient reading.
pub(crate) fn covers(path: &CanonicalPath) -> bool {
    is_own(path) || path.lenient_reading().is_some_and(|path| is_own(&path))
}

/// The answer to a request for one of the gateway's own paths that has no page.
pub(crate) fn answer() -> Response<Body> {
    response::error(StatusCode::NOT_FOUND, "Not found")
}

fn is_own(path: &CanonicalPath) -> bool {
    path.decoded().split('/').nth(1) == Some(".portcullis")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    #[test]
    fn own_paths_are_recognised_in_every_spelling() {
        for own in [
            "/.portcullis",
            "/.portcullis/",
            "/.portcullis/x",
            "/%2eportcullis/x",
            "/.portcullis;a/x",
        ] {
            assert!(covers(&path(own)), "{own}");
        }
        for other in [
            "/",
            "/portcullis/x",
            "/a/.portcullis/x",
            "/.portcullisx",
            "/.Portcullis",
        ] {
            assert!(!covers(&path(other)), "{other}");
        }
    }
}
