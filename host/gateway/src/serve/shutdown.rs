//! When to stop: at SIGTERM or SIGINT, and the second of them means now.

use std::io;

use tokio::sync::mpsc;

use crate::admin::Readiness;

/// A stream of requests to stop.
#[derive(Debug)]
pub(crate) struct Shutdown(mpsc::Receiver<()>);

impl Shutdown {
    /// Listens for signals from now on. The first ends the readiness.
    pub(crate) fn on_signals(readiness: Readiness) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(1);
        let mut signals = Signals::listen()?;
        tokio::spawn(async move {
            loop {
                signals.next().await;
                readiness.end();
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// The next request to stop. It never comes once nobody can send one.
    pub(crate) async fn requested(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// One that a test requests.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (mpsc::Sender<()>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self(receiver))
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
