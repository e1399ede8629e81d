//! Tells systemd when the gateway is ready, that it is stopping, and that it is alive (sd_notify(3)). Without
//! `NOTIFY_SOCKET`, which systemd sets, this does nothing.

use sd_notify::NotifyState;

use crate::transport::shutdown::Shutdown;

/// Reports that the gateway is ready, and then its state until it stops.
pub(crate) async fn report_status(status: String, mut stop: Shutdown) {
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    tokio::select! {
        () = keep_alive() => {}
        () = stop.requested() => {}
    }
    let stopping = "stopping: running requests are finished";
    notify(&[NotifyState::Stopping, NotifyState::Status(stopping)]);
    // A gateway that stops slowly is still alive.
    keep_alive().await;
}

/// Pings systemd's watchdog twice per period. The ping comes from the runtime that serves requests, so that it stops if
/// the runtime hangs.
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
        tracing::warn!(%error, "the state can't be reported to systemd");
    }
}
