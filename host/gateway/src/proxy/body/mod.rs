//! Bodies of requests and responses. They are streamed, and record their progress for the timeouts.

mod client;
mod gate;
mod progress;
mod request;
mod response;

use std::error::Error;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::Either;
use http_body_util::Full;

pub(crate) use self::client::BodyError;
pub(crate) use self::client::ClientBody;
pub(super) use self::gate::ContinueSignal;
pub(super) use self::gate::closed;
pub(crate) use self::progress::Progress;
pub(crate) use self::request::RequestBody;
pub(crate) use self::response::ResponseBody;

/// The body of a response: the gateway's own, or the stream of an upstream.
pub(crate) type Body = Either<Full<Bytes>, ResponseBody>;

/// A body that the gateway itself produces.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Applies `clean` to the trailers of a frame. `None` if no trailers are left, so that the body ends.
fn filter_trailers(frame: Frame<Bytes>, clean: impl FnOnce(&mut HeaderMap)) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        }
        Err(frame) => Some(frame),
    }
}
