//! Signals that would end a process which doesn't handle them, although their senders mean something else: a closed
//! terminal, log rotation, or a certificate that was renewed. SIGHUP reloads the configuration.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::Signal;

/// The SIGHUPs that this process receives.
#[derive(Debug)]
pub(super) struct Hangups {
    #[cfg(unix)]
    signal: Signal,
}

#[cfg(unix)]
impl Hangups {
    /// Starts to receive them. Other signals of this kind are logged, and do nothing.
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        for (kind, name) in [
            (SignalKind::user_defined1(), "SIGUSR1"),
            (SignalKind::user_defined2(), "SIGUSR2"),
        ] {
            let mut received = signal(kind)?;
            tokio::spawn(async move {
                while received.recv().await.is_some() {
                    tracing::info!(signal = name, "a signal is ignored: SIGHUP reloads the configuration");
                }
            });
        }
        Ok(Self {
            signal: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if self.signal.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
impl Hangups {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(super) async fn next(&mut self) {
        std::future::pending().await
    }
}
