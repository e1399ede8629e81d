//! The send timeout of HTTP/2 streams. Flow control lets a client stall one response for ever while the connection
//! itself stays active.

use std::cell::Cell;
use std::future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use portcullis_wire::peer::Peer;
use tokio::time::Instant;

use super::fault;

tokio::task_local! {
    /// Since when a frame of the response has been waiting for the client, and which client that is. `None` while the
    /// response itself is being waited for.
    static WAITING_SINCE: Cell<Option<(Instant, Peer)>>;
}

/// Records that a frame of a response was handed over for sending to `client`. `None` if the next frame is being
/// produced. This does nothing for HTTP/1.1, where the connection's own activity shows it.
pub(super) fn mark_waiting(client: Option<Peer>) {
    // Outside of an HTTP/2 stream the task-local isn't set.
    let _ = WAITING_SINCE.try_with(|since| since.set(client.map(|client| (Instant::now(), client))));
}

/// Runs each HTTP/2 stream as a task, and ends the stream if its client reads nothing for `send_timeout`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor {
    pub(super) send_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let limit = self.send_timeout;
        tokio::spawn(WAITING_SINCE.scope(Cell::new(None), async move {
            if let Err(client) = with_send_timeout(stream, limit).await {
                fault::report("send_timeout", client);
            }
        }));
    }
}

/// Drives a stream to completion, or fails with the client that read nothing for `limit`. Dropping the stream resets
/// it.
async fn with_send_timeout<F: Future>(stream: F, limit: Duration) -> Result<F::Output, Peer> {
    let mut stream = pin!(stream);
    let mut sleep = None;
    future::poll_fn(|context| {
        if let Poll::Ready(output) = stream.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        let Some((since, client)) = WAITING_SINCE.with(Cell::get) else {
            return Poll::Pending;
        };
        let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + limit)));
        if sleep.deadline() != since + limit {
            sleep.as_mut().reset(since + limit);
        }
        sleep.as_mut().poll(context).map(|()| Err(client))
    })
    .await
}
