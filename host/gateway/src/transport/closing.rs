//! The end of many things at once: it is announced to all, and whoever announced it waits until they are gone.

use std::time::Duration;

use tokio::sync::watch;

/// Announces the end.
#[derive(Debug)]
pub(crate) struct Closing(watch::Sender<bool>);

/// Something that ends. The wait for it is over when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Witness(watch::Receiver<bool>);

impl Closing {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// One more to wait for.
    pub(crate) fn witness(&self) -> Witness {
        Witness(self.0.subscribe())
    }

    /// Announces the end, and waits until everybody is gone.
    pub(crate) async fn end(&self) {
        self.0.send_replace(true);
        self.gone().await;
    }

    /// Waits until everybody is gone of their own accord.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

impl Witness {
    /// Returns when the end is announced.
    pub(crate) async fn announced(&mut self) {
        // Without anybody to announce it, it has come.
        let _ = self.0.wait_for(|end| *end).await;
    }

    /// Returns when a client that has asked for nothing yet has had its time: `limit`, or a moment after the end is
    /// announced, for what is on its way.
    pub(crate) async fn patience(&mut self, limit: Duration) {
        let last_call = async {
            self.announced().await;
            tokio::time::sleep(LAST_CALL).await;
        };
        // Both are its end.
        let _ = tokio::time::timeout(limit, last_call).await;
    }
}

/// How long after the end was announced there is still time to ask for something.
pub(crate) const LAST_CALL: Duration = Duration::from_secs(1);
