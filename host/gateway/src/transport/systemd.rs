//! What systemd hears of the gateway (sd_notify(3)): when it serves, that it stops, and that it is alive. Without
//! systemd, which says where it listens in `NOTIFY_SOCKET`, nobody is told.

use sd_notify::NotifyState;

use crate::transport::shutdown::Shutdown;

/// Says that the gateway serves, and goes on to tell what becomes of it until it stops.
pub(crate) async fn report_status(status: String, mut stop: Shutdown) {
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    tokio::select! {
        () = keep_alive() => {}
        () = stop.requested() => {}
    }
    let stopping = "stopping: running requests are finished";
    notify(&[NotifyState::Stopping, NotifyState::Status(stopping)]);
    // Who stops slowly is still alive.
    keep_alive().await;
}

/// Sends a sign of life twice in the time after which systemd takes the gateway for hung. It comes from where requests
/// are served, so that none comes when nothing is.
async fn keep_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(limit / 2).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd can't be told how the gateway is");
    }
}
