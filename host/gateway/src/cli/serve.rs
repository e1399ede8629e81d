//! `portcullis serve`: loads a configuration and serves it until the process is told to stop.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use crate::admin::Admin;
use crate::admin::Metrics;
use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::log_lines;
use crate::cli::logging::Format;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Where to listen, instead of what the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) log_format: Format,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut draft = arguments.config.read();
    if let Some(listen) = arguments.listen {
        draft.config.server.listen = listen;
    }
    let listen = draft.config.listen();
    // Before the authenticators are made, so that they count.
    let admin = match draft.config.admin {
        Some(config) => Some(Admin::bind(config, Metrics::install()?).await?),
        None => None,
    };
    log_lines::describe();
    let generation = engine::load(draft).await?;
    generation.log();
    crate::serve::run(Arc::new(generation), &listen, admin).await?;
    Ok(())
}
