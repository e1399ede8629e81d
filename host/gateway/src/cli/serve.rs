//! `portcullis serve`: loads a configuration and serves it until the process is told to stop.

use std::error::Error;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;

use clap::Args;
use portcullis_loader::config::rotation::SecretWatch;
use portcullis_loader::tls::system_verifier;
use portcullis_watch::Watcher;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::admin::Admin;
use crate::admin::Metrics;
use crate::admin::Reloads;
use crate::audit_trail;
use crate::audit_trail::CurrentTrail;
use crate::cli::ConfigFile;
use crate::cli::access_logs::AccessLogs;
use crate::cli::engine;
use crate::cli::log_lines;
use crate::cli::logging::Format;
use crate::cli::reloader::Reloader;
use crate::cli::reloader::Triggers;
use crate::cli::signals::Hangups;
use crate::cli::source::Source;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::machine;
use crate::pipeline::Gateway;
use crate::proxy::Proxy;
use crate::serve::ListenerKind;
use crate::serve::Listeners;
use crate::telemetry::Telemetry;
use crate::transport::Inherited;
use crate::transport::ServeError;
use crate::transport::Shutdown;
use crate::transport::systemd;
use crate::transport::systemd::ServiceState;

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

impl Arguments {
    /// The arguments to serve this file at this address.
    pub(super) fn of(file: PathBuf, listen: ListenAddress) -> Self {
        Self {
            config: ConfigFile { path: Some(file) },
            listen: vec![listen],
            log_format: Format::Text,
            worker_threads: None,
        }
    }
}

/// Serves until the process is told to stop. What the configuration says of the audit file or socket applies to `audit`.
pub(super) async fn run(arguments: Arguments, inherited: Inherited, audit: CurrentTrail) -> Result<(), Box<dyn Error>> {
    let hangups = Hangups::listen()?;
    let built_in = arguments.config.path.is_none();
    if built_in {
        tracing::warn!("no configuration is given: a client is admitted under any name that it gives");
    }
    let source = Source {
        file: arguments.config,
        listen: arguments.listen,
        open_files: machine::open_files(),
    };
    let mut draft = source.read();
    log_bounds(&draft.config, source.open_files);
    let mut watcher = Watcher::new();
    watcher.watch(std::mem::take(&mut draft.watched));
    // The metrics must be installed before the authenticators are built, because these register their counters then.
    let metrics = draft.config.records_metrics().then(Metrics::install).transpose()?;
    let admin = draft.config.admin.as_ref().zip(metrics.clone());
    let admin = admin.map(|(config, metrics)| Admin::bind(config, metrics, &inherited));
    let admin = admin.transpose()?;
    let telemetry = draft.config.telemetry.as_ref();
    let telemetry = telemetry.map(|config| Telemetry::start(config, metrics.clone()));
    let telemetry = telemetry.transpose()?;
    log_lines::describe();
    audit_trail::describe();
    crate::serve::describe();
    crate::pipeline::describe();
    let mut access_logs = AccessLogs::default();
    let access_log = access_logs.prepare(draft.config.access_log)?;
    access_logs.apply(access_log);
    audit.apply(audit.prepare(draft.config.audit.as_ref())?);
    let proxy = Proxy::new();
    let (engine, generation) = engine::load(draft, &proxy).await?;
    let mut secrets = SecretWatch::default();
    secrets.follow(generation.rotating_headers());
    generation.log(None);
    generation.count_disabled();
    let gateway = Gateway::new(generation, proxy).with_audit(audit.clone());
    let gateway = Arc::new(gateway.with_tracer(telemetry.as_ref().and_then(Telemetry::tracer)));
    let generation = gateway.generation();
    generation.listened().await;

    let stop = Shutdown::on_signals().map_err(ServeError::Signals)?;
    let mut listeners = Listeners::new(inherited, audit.clone());
    let prepared = listeners.prepare(&generation)?;
    let (status, address) = (prepared.status(), prepared.address(ListenerKind::Public));
    listeners.warn_about_unused();
    let (reloads, requests) = Reloads::new();
    if let Some(metrics) = &metrics {
        metrics.export_only(generation.exported());
        tokio::spawn(metrics.clone().upkeep());
        tokio::spawn(machine::usage::report(engine.clone()));
    }
    if let Some(admin) = admin {
        admin.start(reloads.clone(), gateway.clone(), audit.clone(), stop.clone());
    }
    listeners.apply(prepared, &generation);
    let _warm_up = WarmUp::start();
    if let Some(address) = address.filter(|_| built_in) {
        tracing::info!("open {} in a browser", url(address));
    }
    let (states, reported) = mpsc::channel(STATES);
    // The queue has room.
    let _ = states.try_send(ServiceState::Serving(status.clone()));
    let served = listeners.serve(Arc::clone(&gateway), access_logs.current(), stop.clone());
    let running = Arc::clone(&gateway);
    let reloader = Reloader {
        source,
        engine,
        gateway,
        listeners,
        access_logs,
        audit: audit.clone(),
        metrics,
        start: generation.digests().clone(),
        secrets,
        watcher,
        reloads,
        states,
        status,
    };
    // Requests are served by the generation of the moment.
    drop(generation);
    tokio::spawn(reloader.run(Triggers { hangups, requests }, stop.clone()));
    tokio::select! {
        () = served => {}
        () = systemd::report(reported, stop) => {}
    }
    running.generation().written().await;
    audit.finish().await;
    if let Some(telemetry) = telemetry {
        telemetry.finish().await;
    }
    Ok(())
}

/// Does what the first session or https request would otherwise wait for, on a thread, now that clients can connect. AWS-LC
/// gathers entropy of its own before it makes random numbers, for some 40 ms of a processor.
///
/// It must have ended before the process does: a thread that is in AWS-LC while the C library runs its exit handlers crashes.
struct WarmUp(Option<JoinHandle<()>>);

impl WarmUp {
    fn start() -> Self {
        let work = || {
            // Whoever needs random numbers gets the error, too.
            let _ = aws_lc_rs::rand::fill(&mut [0]);
            system_verifier::prepare();
        };
        // Without the thread, the first one waits.
        Self(thread::Builder::new().name("warm-up".to_owned()).spawn(work).ok())
    }
}

impl Drop for WarmUp {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // It hasn't panicked, or has said so by itself.
            let _ = thread.join();
        }
    }
}

/// How many states of the service may wait to be reported.
const STATES: usize = 8;

/// Where a browser on this machine finds what listens on `address`.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, address.port()))
}

/// Logs the limits that come from the environment.
fn log_bounds(config: &Config, open_files: Option<u64>) {
    tracing::info!(
        worker_threads = Handle::current().metrics().num_workers(),
        open_files,
        max_connections = config.server.max_connections,
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
