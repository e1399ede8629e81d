//! A response body that keeps its request active until the body ends. It also records when HTTP/2 waits for the client.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;

use super::activity::ActiveRequest;
use super::streams::hand_over;
use super::streams::mark_waiting;

/// The body of a response that is being sent to the client.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    active_request: ActiveRequest,
}

impl<B> TrackedBody<B> {
    pub(super) fn new(body: B, active_request: ActiveRequest) -> Self {
        hand_over(&active_request);
        Self { body, active_request }
    }
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        mark_waiting(None);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        mark_waiting(frame.is_some().then(|| self.active_request.client()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
