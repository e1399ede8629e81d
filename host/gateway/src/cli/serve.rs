//! `portcullis serve`: loads a configuration and serves it until the process is told to stop.

use std::error::Error;
use std::sync::Arc;

use clap::Args;

use crate::admin::Admin;
use crate::admin::Metrics;
use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::logging::Format;
use crate::config::ListenAddress;
use crate::serve::Inherited;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Where to listen, instead of what the configuration says: ADDRESS:PORT, unix:PATH or systemd:NAME; several with commas
    #[arg(long, env = "PORTCULLIS_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<ListenAddress>,
    /// How log lines look
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub(super) log_format: Format,
}

pub(super) async fn run(arguments: Arguments, mut inherited: Inherited) -> Result<(), Box<dyn Error>> {
    let mut draft = arguments.config.read();
    if !arguments.listen.is_empty() {
        draft.config.server.listen.addresses = arguments.listen;
    }
    let listen = draft.config.listen();
    // Before the authenticators are made, so that they count.
    let admin = match &draft.config.admin {
        Some(config) => Some(Admin::bind(config, Metrics::install()?, &mut inherited)?),
        None => None,
    };
    let generation = engine::load(draft).await?;
    generation.log();
    crate::serve::run(Arc::new(generation), &listen, admin, inherited).await?;
    Ok(())
}
