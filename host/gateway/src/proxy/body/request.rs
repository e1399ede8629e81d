//! The body of a request on its way to an upstream. It can be held back until the upstream asks for it, and it records
//! whether the client is the one to continue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Either;
use http_body_util::Full;

use super::BoxError;
use super::Progress;
use super::filter_trailers;
use super::gate::BodyGate;
use crate::proxy::body::ClientBody;
use crate::proxy::trailers::ForbiddenTrailers;

/// The body of a request on its way to an upstream. Trailers are passed on over HTTP/2 only: the gateway hasn't checked
/// them, and over HTTP/1.1 some upstreams merge them with the headers that the gateway has set (RFC 9110, section
/// 6.5.1).
#[derive(Debug)]
pub(crate) struct RequestBody<B = Either<ClientBody, Full<Bytes>>> {
    incoming: B,
    progress: Progress,
    /// Closed while the client waits to be told to send it. `None` if the client doesn't wait.
    gate: Option<BodyGate>,
    /// The trailers that are removed. `None` if all are.
    trailers: Option<Arc<ForbiddenTrailers>>,
}

impl<B> RequestBody<B> {
    pub(crate) fn new(incoming: B, progress: Progress) -> Self {
        Self {
            incoming,
            progress,
            gate: None,
            trailers: None,
        }
    }

    /// Holds the body back until the gate opens. `None` releases it at once.
    pub(crate) fn gate(&mut self, gate: Option<BodyGate>) {
        self.gate = gate;
    }

    /// Sets the trailers that are removed. `None` removes all.
    pub(crate) fn trailers(&mut self, forbidden: Option<Arc<ForbiddenTrailers>>) {
        self.trailers = forbidden;
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(gate) = &mut self.gate {
            let opened = ready!(Pin::new(gate).poll(context));
            self.gate = None;
            if let Err(error) = opened {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        self.progress.set_waits_for_client(frame.is_pending());
        let frame = ready!(frame);
        self.progress.step();
        let forbidden = self.trailers.as_ref();
        Poll::Ready(match frame {
            Some(Ok(frame)) => filter_trailers(frame, |trailers| match forbidden {
                Some(forbidden) => forbidden.clean_request(trailers),
                None => trailers.clear(),
            })
            .map(Ok),
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http::HeaderMap;
    use http_body_util::BodyExt;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn a_body_arrives_without_its_trailers_and_records_its_progress() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-forwarded-user", "mallory".parse().unwrap());
        let frames = [Frame::data(Bytes::from("hello")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
        let progress = Progress::default();
        let body = RequestBody::new(StreamBody::new(stream::iter(frames)), progress.clone());
        let before = progress.mark();
        let arrived = body.collect().await.unwrap();
        assert_eq!(arrived.trailers(), None);
        assert_eq!(arrived.to_bytes(), "hello");
        assert_ne!(progress.mark(), before);
    }
}
