//! Requests to stop: the first SIGTERM or SIGINT stops the gateway gracefully, the second one at once.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

/// A stream of requests to stop. Every clone yields all requests that the original hadn't yielded yet.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    requests: watch::Receiver<u64>,
    seen: u64,
}

impl Shutdown {
    /// Starts to listen for signals.
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

    /// Waits for the next request to stop. If no sender is left, this never completes.
    pub(crate) async fn requested(&mut self) {
        let seen = self.seen;
        let next = self.requests.wait_for(|count| *count > seen).await.map(|count| *count);
        match next {
            Ok(_) => self.seen += 1,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until the listeners should close: some time after the first request to stop, or at the second one. `delay` is
    /// asked for that time at the first request.
    pub(crate) async fn drained(&mut self, delay: impl FnOnce() -> Duration) {
        self.requested().await;
        // The second request isn't consumed, so that the next caller sees it.
        let _ = tokio::time::timeout(delay(), self.clone().requested()).await;
    }

    /// Whether a stop was requested, also if no caller has waited for the request yet.
    pub(crate) fn was_requested(&self) -> bool {
        *self.requests.borrow() > 0
    }

    /// A `Shutdown` that a test controls: each increment of the counter is a request to stop.
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
