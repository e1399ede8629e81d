//! How a listener lets its connections finish: all are asked to end after the request that is under way, and it waits
//! until they are gone. That of hyper-util lets nobody else ask a connection to end.

use tokio::sync::watch;

/// Whoever asks the connections of a listener to end.
#[derive(Debug)]
pub(crate) struct GracefulShutdown(watch::Sender<()>);

/// What a connection is asked through. It counts as there until this is dropped.
#[derive(Debug)]
pub(crate) struct Watcher(watch::Receiver<()>);

impl GracefulShutdown {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// One for a connection.
    pub(crate) fn watcher(&self) -> Watcher {
        Watcher(self.0.subscribe())
    }

    /// Asks all connections to end, and waits for them.
    pub(crate) async fn shutdown(self) {
        self.0.send_replace(());
        self.0.closed().await;
    }
}

impl Watcher {
    /// Waits to be asked to end.
    pub(crate) async fn asked(&mut self) {
        // Who can't be asked any more has been.
        let _ = self.0.changed().await;
    }
}
