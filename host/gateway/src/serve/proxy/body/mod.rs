//! Bodies on their way through the proxy. They stream as the other side sends them, and show that they move.

mod progress;
mod request;
mod response;

use std::error::Error;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

pub(crate) use self::progress::Progress;
pub(crate) use self::request::RequestBody;
pub(crate) use self::response::ResponseBody;

type BoxError = Box<dyn Error + Send + Sync>;

/// A frame with clean trailers. None: there are none left, and that is the end.
fn pass(frame: Frame<Bytes>, clean: impl FnOnce(&mut HeaderMap)) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        }
        Err(frame) => Some(frame),
    }
}
