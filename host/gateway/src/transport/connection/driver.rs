//! Drives a connection of hyper's to its end. It ends when hyper or the client ends it, when a timeout expires, or after
//! the listener closed.

use std::future;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use portcullis_wire::framing::ConnectionState;
use portcullis_wire::peer::Peer;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::LAST_CALL;
use super::activity::Activity;
use super::activity::Timeout;
use super::activity::Watchdog;
use super::fault;
use crate::transport::shutdown::Shutdown;

/// Drives a connection to its end, within its timeouts.
pub(super) struct Driver {
    pub(super) activity: Arc<Activity>,
    pub(super) seen: Arc<ConnectionState>,
    pub(super) watchdog: Watchdog,
    pub(super) closing: CancellationToken,
    pub(super) stop: Shutdown,
    /// How long the last requests may take after the listener closed.
    pub(super) drain_limit: Duration,
    pub(super) client: Peer,
}

impl Driver {
    /// `close` begins the graceful shutdown of the connection.
    pub(super) async fn drive<C>(mut self, served: C, close: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let client = self.client;
        // Boxed and made late, because most connections are never drained.
        let (mut served, mut stopping) = (pin!(served), false);
        let mut cut_off: Option<Pin<Box<Sleep>>> = None;
        loop {
            tokio::select! {
                // Bytes that have already arrived are processed before a timeout can close the connection.
                biased;
                outcome = served.as_mut() => {
                    match outcome {
                        Err(_) if self.seen.is_flooded() => fault::report("frames", client),
                        Err(error) => match rejected_bound(&error) {
                            Some(bound) => fault::report(bound, client),
                            None => tracing::debug!(%error, %client, "a connection failed"),
                        },
                        Ok(()) => {}
                    }
                    return;
                }
                () = last_call(&self.activity, &self.closing), if !stopping => {
                    stopping = true;
                    // When the gateway stops, the listener bounds the time of all its connections.
                    let is_alone = !self.stop.was_requested();
                    cut_off = is_alone.then(|| Box::pin(tokio::time::sleep(self.drain_limit)));
                    close(served.as_mut());
                }
                () = elapsed(&mut cut_off) => {
                    return tracing::warn!(%client, "a request was cut off, because its listener has closed");
                }
                timeout = self.watchdog.expired() => match timeout {
                    Timeout::KeepAlive => {
                        close(served.as_mut());
                        self.watchdog.start_closing();
                    }
                    timeout => return timeout.log(client),
                }
            }
        }
    }
}

/// Completes when the time is over. `None` never is.
async fn elapsed(sleep: &mut Option<Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => future::pending().await,
    }
}

/// Completes when the connection should shut down gracefully, after the listener closed. hyper would drop a connection
/// on which it has read nothing, so a request that is still on its way gets `LAST_CALL` to arrive. It must be polled
/// after every poll of the connection.
pub(super) async fn last_call(activity: &Activity, closing: &CancellationToken) {
    closing.cancelled().await;
    let request = future::poll_fn(|_| {
        if activity.has_had_request() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    // If no request arrived in time, there is nothing to wait for.
    let _ = tokio::time::timeout(LAST_CALL, request).await;
}

/// The limit that a rejected head exceeds. `None` if the connection failed for another reason.
fn rejected_bound(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse_too_large() {
        Some("max_header_size")
    } else {
        error.is_parse().then_some("malformed_head")
    }
}
