//! Holds a request body back until the upstream asks for it (`Expect: 100-continue`, RFC 9110, section 10.1.1). After a
//! timeout the body is sent without being asked for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Sleep;

/// Completes when the body may be read, or with an error when the upstream can no longer ask for it.
#[derive(Debug)]
pub(crate) struct BodyGate {
    signal: oneshot::Receiver<()>,
    timeout: Option<Pin<Box<Sleep>>>,
}

/// Opens the gate of a body. If the last clone is dropped before, the body ends with an error.
#[derive(Clone, Debug)]
pub(crate) struct ContinueSignal(Arc<Mutex<Option<oneshot::Sender<()>>>>);

/// A closed gate, and the signal that opens it.
pub(crate) fn closed() -> (BodyGate, ContinueSignal) {
    let (sender, signal) = oneshot::channel();
    let gate = BodyGate { signal, timeout: None };
    (gate, ContinueSignal(Arc::new(Mutex::new(Some(sender)))))
}

impl ContinueSignal {
    /// Opens the gate. A second call does nothing.
    pub(crate) fn open(&self) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The body may already be dropped.
            _ = sender.send(());
        }
    }
}

impl Future for BodyGate {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(signal) = Pin::new(&mut self.signal).poll(context) {
            return Poll::Ready(signal.map_err(|_| io::Error::other("the upstream doesn't want the body")));
        }
        let timeout = self
            .timeout
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(TIMEOUT)));
        timeout.as_mut().poll(context).map(Ok)
    }
}

/// How long to wait for the upstream, since many ignore the expectation. Clients wait about as long by themselves.
const TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_the_signal_until_the_timeout() {
        let (gate, signal) = closed();
        signal.open();
        signal.open();
        assert!(gate.await.is_ok());

        let (waiting, signal) = closed();
        let started = tokio::time::Instant::now();
        assert!(waiting.await.is_ok());
        assert_eq!(started.elapsed(), TIMEOUT);
        drop(signal);

        let (refused, signal) = closed();
        drop(signal);
        assert!(refused.await.is_err());
    }
}
