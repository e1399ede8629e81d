//! The gateway's public listener: it takes requests in, asks the authenticators of their route, and answers or forwards
//! them. The way of one request is in `flow`.

mod admission;
mod answer;
mod audit;
mod client;
mod connection;
mod flow;
mod framing;
pub(crate) mod headers;
mod listener;
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
use crate::admin::Readiness;
use crate::config::ServerConfig;
use crate::generation::Generation;

pub(crate) use flow::Gateway;
pub(crate) use listener::Listener;
pub(crate) use listener::ServeError;
pub(crate) use preview::Ending;
pub(crate) use preview::Preview;
pub(crate) use shutdown::Shutdown;

/// Serves a configuration on its public listener until the process is told to stop.
///
/// The line `listening` in the log carries the address, with the port that the system chose when none was configured.
pub(crate) async fn run(
    generation: Arc<Generation>,
    config: &ServerConfig,
    admin: Option<Admin>,
) -> Result<(), ServeError> {
    let readiness = Readiness::ready();
    let stop = Shutdown::on_signals(readiness.clone()).map_err(ServeError::Signals)?;
    let listener = Listener::bind(config.listen).await?;
    if let Some(admin) = admin {
        admin.start(readiness);
    }
    tracing::info!(address = %listener.address(), "listening");
    listener
        .serve(Arc::new(Gateway::new(generation, config)), config, stop)
        .await;
    Ok(())
}
