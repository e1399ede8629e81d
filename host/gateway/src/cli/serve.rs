//! `portcullis serve`: loads a configuration and serves it until the process is told to stop.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;

use clap::Args;
use tokio::runtime::Handle;

use crate::admin::Admin;
use crate::admin::Metrics;
use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::log_lines;
use crate::cli::log_lines::LogLines;
use crate::cli::logging::Format;
use crate::cli::signals;
use crate::config;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::machine;
use crate::pipeline::Gateway;
use crate::proxy::Proxy;
use crate::serve::access::AccessLog;
use crate::transport::Inherited;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Where to listen, overriding the configuration: ADDRESS:PORT, unix:PATH or systemd:NAME, separated by commas
    #[arg(long, env = "PORTCULLIS_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<ListenAddress>,
    /// The format of log lines
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub(super) log_format: Format,
    /// How many threads serve requests; by default one per processor, or as many as the container's CPU quota allows
    #[arg(long, env = "PORTCULLIS_WORKER_THREADS", value_name = "NUMBER")]
    pub(super) worker_threads: Option<NonZero<usize>>,
}

pub(super) async fn run(arguments: Arguments, mut inherited: Inherited) -> Result<(), Box<dyn Error>> {
    signals::ignore()?;
    let built_in = arguments.config.path.is_none();
    if built_in {
        tracing::warn!("no configuration is given: a client is admitted under any name that it gives");
    }
    let mut draft = arguments.config.read();
    if !arguments.listen.is_empty() {
        draft.config.server.listen.addresses = arguments.listen;
    }
    bound_connections(&mut draft.config);
    let listen = draft.config.listen();
    // The metrics must be installed before the authenticators are built, because these register their counters then.
    let admin = match &draft.config.admin {
        Some(config) => Some(Admin::bind(config, Metrics::install()?, &mut inherited)?),
        None => None,
    };
    log_lines::describe();
    let access_log = draft.config.access_log.map(|format| {
        let lines = LogLines::on_standard_output()?;
        Ok::<_, io::Error>(AccessLog::new(format, move |line| lines.enqueue(line)))
    });
    let access_log = access_log.transpose()?;
    let proxy = Proxy::new();
    let authenticators = &draft.config.authenticators;
    let rotating = authenticators
        .iter()
        .flat_map(|authenticator| authenticator.rotating.clone());
    let rotating = Vec::from_iter(rotating);
    let generation = engine::load(draft, &proxy).await?;
    tokio::spawn(config::watch_secrets(rotating));
    generation.log();
    let on_listening = |address: Option<SocketAddr>| {
        if let Some(address) = address.filter(|_| built_in) {
            tracing::info!("open {} in a browser", url(address));
        }
    };
    let gateway = Arc::new(Gateway::new(generation, proxy));
    crate::serve::run(gateway, &listen, admin, inherited, access_log, on_listening).await?;
    Ok(())
}

/// Where a browser on this machine finds what listens on `address`.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, address.port()))
}

/// Sets the maximum number of connections if it isn't configured, and logs the limits that come from the environment.
fn bound_connections(config: &mut Config) {
    let files = machine::open_files();
    let listen = config.listen();
    let connections = config.server.max_connections;
    if connections.is_some_and(|connections| !machine::allows(&listen, files, connections)) {
        tracing::warn!(
            open_files = files,
            "server.max_connections needs more open files than the process may have, because each connection may need a \
             second one to the upstream: raise the limit (ulimit -n, LimitNOFILE=)"
        );
    }
    let connections = connections.unwrap_or_else(|| machine::connections(&listen, files));
    config.server.max_connections = Some(connections);
    tracing::info!(
        worker_threads = Handle::current().metrics().num_workers(),
        open_files = files,
        max_connections = connections,
        available_memory = machine::memory(),
        plugin_memory = engine::memory(&config.plugins),
        "bounds"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_that_a_browser_on_this_machine_can_open() {
        for (address, expected) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
            ("[::1]:8000", "http://[::1]:8000/"),
            ("192.0.2.7:80", "http://192.0.2.7:80/"),
            ("0.0.0.0:8000", "http://127.0.0.1:8000/"),
            ("[::]:8000", "http://[::1]:8000/"),
        ] {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
