//! StreamExecutor of HTTP/2 whose client doesn't take what it is sent: by flow control it can let an answer wait for ever while
//! the connection itself goes on.

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
    /// Since when a piece of the answer has waited for the client, and which client that is; none: it is the answer that
    /// is waited for.
    static WAITING_SINCE: Cell<Option<(Instant, Peer)>>;
}

/// Notes that a piece of an answer was handed over to be sent to a client, or that the next one is asked for. For a request of
/// HTTP/1.1 this does nothing: there the connection waits.
pub(super) fn mark_waiting(client: Option<Peer>) {
    // Without a stream there is nothing to note.
    let _ = WAITING_SINCE.try_with(|since| since.set(client.map(|client| (Instant::now(), client))));
}

/// Runs what belongs to a stream as a task of its own, and ends it when the client takes nothing for so long.
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

/// What a stream comes to. The error is the client that took nothing for this long. Dropping the stream resets it.
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
