//! Bodies on their way through the proxy. They stream as the other side sends them, and show that they move.

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

/// A response's body: the gateway's own, or an upstream's as it streams in.
pub(crate) type Body = Either<Full<Bytes>, ResponseBody>;

/// A body of the gateway's own.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

type BoxError = Box<dyn Error + Send + Sync>;

/// A frame with clean trailers. None: there are none left, and that is the end.
fn filter_trailers(frame: Frame<Bytes>, clean: impl FnOnce(&mut HeaderMap)) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        }
        Err(frame) => Some(frame),
    }
}
