//! An answer's body as it is sent: its request is under way until it ends, and it shows when it waits for the client.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;

use super::pace::UnderWay;
use super::streams::waits_for_client;

/// A body on its way to the client.
#[derive(Debug)]
pub(super) struct Sent<B> {
    body: B,
    under_way: UnderWay,
}

impl<B> Sent<B> {
    pub(super) fn new(body: B, under_way: UnderWay) -> Self {
        Self { body, under_way }
    }
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        waits_for_client(None);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        waits_for_client(frame.is_some().then(|| self.under_way.client()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
