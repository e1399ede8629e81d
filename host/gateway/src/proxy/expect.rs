//! `Expect: 100-continue` (RFC 9110, section 10.1.1): a client that asks before it sends a large body is asking the
//! upstream. Its body is not read before the upstream has said that it wants it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;
use http::Request;
use http::StatusCode;
use http::header;
use http_body::Body;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::body::RequestBody;

/// Holds a request's body back until the upstream wants it, if its client waits for leave to send it.
pub(super) fn follow(request: &mut Request<RequestBody>) -> Option<Leave> {
    if request.body().is_end_stream() || !is_expected(request.headers()) {
        return None;
    }
    let (hold, leave) = hold();
    request.body_mut().hold(Some(hold));
    let follower = leave.clone();
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            follower.give();
        }
    });
    Some(leave)
}

fn is_expected(headers: &HeaderMap) -> bool {
    headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Resolves once a body may be read, and to an error when nobody will want it any more.
#[derive(Debug)]
pub(super) struct Hold {
    leave: oneshot::Receiver<()>,
    patience: Option<Pin<Box<Sleep>>>,
}

/// Gives leave to send a body. When the last clone is gone, nobody can.
#[derive(Clone, Debug)]
pub(super) struct Leave(Arc<Mutex<Option<oneshot::Sender<()>>>>);

/// A body's hold, and what ends it.
fn hold() -> (Hold, Leave) {
    let (sender, leave) = oneshot::channel();
    let hold = Hold { leave, patience: None };
    (hold, Leave(Arc::new(Mutex::new(Some(sender)))))
}

impl Leave {
    /// Gives it.
    pub(super) fn give(&self) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The body may be gone already.
            _ = sender.send(());
        }
    }
}

impl Future for Hold {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(leave) = Pin::new(&mut self.leave).poll(context) {
            return Poll::Ready(leave.map_err(|_| io::Error::other("the upstream doesn't want the body")));
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        patience.as_mut().poll(context).map(Ok)
    }
}

/// How long an upstream is waited for: many never heard of the expectation. Clients wait about as long by themselves.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_leave_but_not_for_ever() {
        let (hold, leave) = hold();
        leave.give();
        leave.give();
        assert!(hold.await.is_ok());

        let (waiting, kept) = super::hold();
        let started = tokio::time::Instant::now();
        assert!(waiting.await.is_ok());
        assert_eq!(started.elapsed(), PATIENCE);
        drop(kept);

        let (refused, leave) = super::hold();
        drop(leave);
        assert!(refused.await.is_err());
    }
}
