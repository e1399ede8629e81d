//! The body of a response behind the layer: that of the service, or that of a refusal.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Either;
use http_body_util::Full;
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response behind an [`AuthenticateLayer`](crate::AuthenticateLayer), where `R` is the service's.
    ///
    /// The default is empty: layers that answer by themselves, such as those of `tower-http` for CORS and time-outs, need
    /// one.
    #[derive(Debug)]
    pub struct GateBody<R> {
        #[pin]
        body: Either<R, Full<Bytes>>,
    }
}

impl<R> GateBody<R> {
    pub(super) fn service(body: R) -> Self {
        Self {
            body: Either::Left(body),
        }
    }

    pub(super) fn refusal(body: Bytes) -> Self {
        Self {
            body: Either::Right(Full::new(body)),
        }
    }
}

impl<R> Default for GateBody<R> {
    fn default() -> Self {
        Self::refusal(Bytes::new())
    }
}

impl<R> Body for GateBody<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
