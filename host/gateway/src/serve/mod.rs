//! The gateway's public listener: it takes requests in, asks the authenticators of their route, and answers or forwards
//! them. The way of one request is in `flow`.

mod admission;
mod answer;
mod audit;
mod body;
mod client;
mod connection;
mod ext_authz;
mod flow;
mod forward_auth;
mod framing;
mod graceful;
pub(crate) mod headers;
mod listener;
mod listeners;
mod outgoing;
mod own;
mod page;
pub(crate) mod path;
mod preview;
mod proxy;
mod shutdown;
mod target;
#[cfg(test)]
mod tests;
mod whoami;

use std::sync::Arc;

use crate::admin::Admin;
use crate::config::ListenConfig;
use crate::generation::Generation;

use self::listeners::Listeners;

pub(crate) use flow::Gateway;
pub(crate) use listener::Listener;
pub(crate) use listener::ServeError;
pub(crate) use preview::Ending;
pub(crate) use preview::Preview;
pub(crate) use shutdown::Shutdown;

/// Serves a configuration on its listeners until the process is told to stop.
///
/// The line `listening` in the log carries the address, with the port that the system chose when none was configured.
/// Lines for the other listeners come before it.
pub(crate) async fn run(
    generation: Arc<Generation>,
    config: &ListenConfig,
    admin: Option<Admin>,
) -> Result<(), ServeError> {
    connection::fault::describe();
    let stop = Shutdown::on_signals().map_err(ServeError::Signals)?;
    let listeners = Listeners::bind(config).await?;
    if let Some(admin) = admin {
        admin.start(stop.clone());
    }
    tracing::info!(address = %listeners.public.address(), "listening");
    listeners.serve(generation, config, stop).await;
    Ok(())
}
