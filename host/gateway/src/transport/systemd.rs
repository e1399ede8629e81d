//! Tells systemd when the gateway is ready, that it reloads or stops, and that it is alive (sd_notify(3)). Without
//! `NOTIFY_SOCKET`, which systemd sets, this does nothing.

use sd_notify::NotifyState;
use tokio::sync::mpsc;

use crate::transport::shutdown::Shutdown;

/// What the gateway does, as it is reported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ServiceState {
    /// It serves; the text is the status line for people.
    Serving(String),
    /// It loads its configuration again.
    Reloading,
}

/// Reports every state until the gateway stops, and then that.
pub(crate) async fn report(mut states: mpsc::Receiver<ServiceState>, mut stop: Shutdown) {
    let follow = async {
        while let Some(state) = states.recv().await {
            report_state(&state);
        }
        // The last state stays.
        std::future::pending().await
    };
    tokio::select! {
        // A stop that was requested is the last thing to report.
        biased;
        () = stop.requested() => {}
        () = follow => {}
        () = keep_alive() => {}
    }
    let stopping = "stopping: running requests are finished";
    notify(&[NotifyState::Stopping, NotifyState::Status(stopping)]);
    // A gateway that stops slowly is still alive.
    keep_alive().await;
}

fn report_state(state: &ServiceState) {
    match state {
        ServiceState::Serving(status) => notify(&[NotifyState::Ready, NotifyState::Status(status)]),
        // With `Type=notify-reload`, systemd compares the time with that of its own request.
        ServiceState::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the state can't be reported to systemd"),
        },
    }
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
