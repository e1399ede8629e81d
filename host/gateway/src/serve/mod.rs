//! The services of the listeners: requests of clients, questions of fronts, and redirects to https. All listeners start
//! and stop together.

pub(crate) mod access;
mod listeners;
mod public;
mod redirect;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::admin::Admin;
use crate::config::ListenConfig;
use crate::pipeline::Gateway;
use crate::transport::Inherited;
use crate::transport::ServeError;
use crate::transport::Shutdown;
use crate::transport::connection::fault;
use crate::transport::handshake;
use crate::transport::systemd;

use self::access::AccessLog;
use self::listeners::Listeners;

/// Serves a configuration on its listeners until a stop is requested.
///
/// A log line `listening` has each address of the public listener. The lines of the other listeners come before it.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    config: &ListenConfig,
    admin: Option<Admin>,
    mut inherited: Inherited,
    access_log: Option<AccessLog>,
    on_listening: impl FnOnce(Option<SocketAddr>),
) -> Result<(), ServeError> {
    fault::describe();
    handshake::describe();
    access::describe();
    let stop = Shutdown::on_signals().map_err(ServeError::Signals)?;
    let listeners = Listeners::bind(config, &mut inherited)?;
    inherited.warn_about_unused();
    if let Some(admin) = admin {
        admin.start(stop.clone());
    }
    listeners.log();
    on_listening(listeners.address());
    let reported = systemd::report_status(listeners.status(), stop.clone());
    tokio::select! {
        () = listeners.serve(gateway, config, access_log, stop) => {}
        () = reported => {}
    }
    Ok(())
}
