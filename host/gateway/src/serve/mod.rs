//! The gateway's public listener: it takes requests in, asks the authenticators of their route, and answers or forwards
//! them. The way of one request is in `flow`.

mod admission;
mod answer;
mod audit;
pub(crate) mod authorize;
mod body;
mod client;
mod closing;
mod connection;
mod error;
mod ext_authz;
mod flow;
mod forward;
mod forward_auth;
mod framing;
pub(crate) mod headers;
mod listener;
mod listeners;
mod manager;
mod outgoing;
mod own;
mod page;
mod passthrough;
pub(crate) mod path;
mod preview;
mod proxy;
mod proxy_protocol;
mod redirect;
mod shutdown;
mod socket;
mod target;
#[cfg(test)]
mod tests;
pub(crate) mod upstream_credentials;
mod way;
mod whoami;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::admin::Admin;
use crate::config::ListenConfig;
use crate::generation::Generation;

use self::listeners::Listeners;

pub(crate) use error::ServeError;
pub(crate) use flow::Gateway;
pub(crate) use listener::Listener;
pub(crate) use preview::Ending;
pub(crate) use preview::Preview;
pub(crate) use shutdown::Shutdown;
pub(crate) use socket::Inherited;
pub(crate) use socket::Socket;
pub(crate) use socket::Stream;

/// Serves a configuration on its listeners until the process is told to stop.
///
/// A line `listening` in the log carries each address of the public listener. Lines for the others come before it.
pub(crate) async fn run(
    generation: Arc<Generation>,
    config: &ListenConfig,
    admin: Option<Admin>,
    mut inherited: Inherited,
    on_listening: impl FnOnce(Option<SocketAddr>),
) -> Result<(), ServeError> {
    connection::fault::describe();
    let stop = Shutdown::on_signals().map_err(ServeError::Signals)?;
    let listeners = Listeners::bind(config, &mut inherited)?;
    inherited.warn_of_rest();
    if let Some(admin) = admin {
        admin.start(stop.clone());
    }
    listeners.log();
    on_listening(listeners.address());
    let informed = manager::keep_informed(listeners.status(), stop.clone());
    tokio::select! {
        () = listeners.serve(generation, config, stop) => {}
        () = informed => {}
    }
    Ok(())
}
