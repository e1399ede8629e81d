//! Signals that would end a process which doesn't handle them, although their senders mean something else: a closed
//! terminal, log rotation, or a certificate that was renewed.

use std::io;

/// Logs these signals and does nothing else from now on.
#[cfg(unix)]
pub(super) fn ignore() -> io::Result<()> {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;

    for (kind, name) in [
        (SignalKind::hangup(), "SIGHUP"),
        (SignalKind::user_defined1(), "SIGUSR1"),
        (SignalKind::user_defined2(), "SIGUSR2"),
    ] {
        let mut received = signal(kind)?;
        tokio::spawn(async move {
            while received.recv().await.is_some() {
                tracing::info!(
                    signal = name,
                    "a signal is ignored: certificates and keytabs are re-read by themselves, and any other change of the \
                     configuration needs a restart"
                );
            }
        });
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn ignore() -> io::Result<()> {
    Ok(())
}
