//! The body of a request as the client sends it, within two limits: how large it is, and how long it pauses while the
//! gateway waits for it.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use tokio::time::Instant;
use tokio::time::Sleep;

use crate::transport::connection::ReceivedBody;

/// The body of a client's request. Its frames are passed on as they arrive.
#[derive(Debug)]
pub(crate) struct ClientBody<B = ReceivedBody> {
    incoming: B,
    /// How many more bytes are allowed. `None` if the size isn't limited.
    remaining: Option<u64>,
    timeout: Duration,
    is_waiting: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes> + Unpin> ClientBody<B> {
    /// Limits the body to `limit` bytes, or not at all for `None`. The body may pause for `timeout` while the gateway
    /// waits for it.
    pub(crate) fn new(incoming: B, limit: Option<u64>, timeout: Duration) -> Self {
        Self {
            incoming,
            remaining: limit,
            timeout,
            is_waiting: false,
            sleep: None,
        }
    }

    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = Instant::now() + self.timeout;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !self.is_waiting {
            sleep.as_mut().reset(deadline);
            self.is_waiting = true;
        }
        sleep.as_mut().poll(context)
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for ClientBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            return self.poll_timeout(context).map(|()| Some(Err(BodyError::Timeout)));
        };
        self.is_waiting = false;
        let frame = frame.map(|frame| {
            let frame = frame.map_err(BodyError::Broken)?;
            let length = frame.data_ref().map_or(0, Bytes::len);
            if let Some(remaining) = self.remaining {
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                self.remaining = Some(remaining.checked_sub(length).ok_or(BodyError::Size)?);
            }
            Ok(frame)
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Why a body isn't complete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client closed the connection, or sent a malformed body.
    #[error("the body broke off: {0}")]
    Broken(hyper::Error),
    /// The body is larger than the limit.
    #[error("the body is larger than max_body_size")]
    Size,
    /// No byte of the body arrived in time.
    #[error("the body paused for longer than body_timeout")]
    Timeout,
}
