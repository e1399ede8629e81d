//! When to stop: at SIGTERM or SIGINT, and the second of them means now.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

/// A stream of requests to stop. Every clone has all that come after it was made.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    requests: watch::Receiver<u64>,
    seen: u64,
}

impl Shutdown {
    /// Listens for signals from now on.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let (sender, requests) = watch::channel(0);
        let mut signals = Signals::listen()?;
        tokio::spawn(async move {
            while !sender.is_closed() {
                signals.next().await;
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { requests, seen: 0 })
    }

    /// The next request to stop. It never comes once nobody can send one.
    pub(crate) async fn requested(&mut self) {
        let seen = self.seen;
        let next = self.requests.wait_for(|count| *count > seen).await.map(|count| *count);
        match next {
            Ok(_) => self.seen += 1,
            Err(_) => std::future::pending().await,
        }
    }

    /// When to listen no more: `delay` after the first request to stop, or at the second.
    pub(crate) async fn drained(&mut self, delay: Duration) {
        self.requested().await;
        // The second is left for whoever waits for it next.
        let _ = tokio::time::timeout(delay, self.clone().requested()).await;
    }

    /// Whether there was one, even if nobody has waited for it.
    pub(crate) fn was_requested(&self) -> bool {
        *self.requests.borrow() > 0
    }

    /// One that a test requests, by counting up.
    #[cfg(test)]
    pub(crate) fn manual() -> (watch::Sender<u64>, Self) {
        let (sender, requests) = watch::channel(0);
        (sender, Self { requests, seen: 0 })
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
