//! Reads the keys of `[upstreams.NAME]`, and defines their defaults and bounds.

use std::time::Duration;

use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::values;

use super::HealthConfig;
use super::Keepalive;
use super::Protocol;
use super::ServerConfig;
use super::SystemRoots;
use super::UpstreamConfig;
use super::tls;
use super::url::Url;

/// The maximum number of servers of an upstream.
const MAX_SERVERS: usize = 64;

/// Returns `None` if the table has any mistake.
pub(super) fn read(name: &str, item: Item<'_>, roots: &SystemRoots) -> Option<UpstreamConfig> {
    let place = item.place.clone();
    let before = place.document().error_count();
    let mut table = item.table()?;
    let urls = table.require("servers").map(urls).unwrap_or_default();
    let is_https = urls.first().is_some_and(|(_, url)| url.is_https);
    let tls = tls::read(&mut table, is_https, roots);
    let protocol = table
        .take("protocol")
        .and_then(protocol)
        .unwrap_or_else(|| Protocol::default_for(is_https));
    let connect_timeout = table.duration(
        "connect_timeout",
        DEFAULT_CONNECT_TIMEOUT,
        MIN_TIMEOUT..=MAX_CONNECT_TIMEOUT,
    );
    let idle_timeout = table.duration("idle_timeout", DEFAULT_IDLE_TIMEOUT, MIN_TIMEOUT..=MAX_IDLE_TIMEOUT);
    // The default depends on the version of HTTP.
    let idle = table.take("keepalive_timeout");
    let idle = idle.and_then(|item| values::duration(item, Duration::ZERO..=MAX_KEEPALIVE));
    let default = Keepalive::default();
    let max_age = table.duration("max_connection_age", default.max_age, MIN_AGE..=MAX_AGE);
    let resolve_interval = table.duration(
        "resolve_interval",
        DEFAULT_RESOLVE_INTERVAL,
        MIN_RESOLVE_INTERVAL..=MAX_RESOLVE_INTERVAL,
    );
    let fail_timeout = table.duration("fail_timeout", DEFAULT_FAIL_TIMEOUT, MIN_TIMEOUT..=MAX_FAIL_TIMEOUT);
    let retries = table.number("retries", DEFAULT_RETRIES, 0..=MAX_RETRIES);
    let max_connections = table.number("max_connections", DEFAULT_MAX_CONNECTIONS, 1..=MAX_CONNECTIONS);
    let max_fails = table.number("max_fails", DEFAULT_MAX_FAILS, 1..=MAX_FAILS);
    let health = table.take("health").and_then(Item::table).and_then(HealthConfig::read);
    table.finish();
    let base = urls.first().map(|(_, url)| url.base.clone()).unwrap_or_default();
    let servers = urls.into_iter().filter_map(|(place, url)| {
        let server = ServerConfig::new(url, tls.name.as_ref());
        server.map_err(|message| place.report(message)).ok()
    });
    let keepalive = Keepalive {
        http1: idle.unwrap_or(default.http1),
        http2: idle.unwrap_or(default.http2),
        max_age,
    };
    let upstream = UpstreamConfig {
        name: name.to_owned(),
        servers: servers.collect(),
        base,
        protocol,
        tls: tls.config,
        connect_timeout,
        idle_timeout,
        keepalive,
        resolve_interval,
        retries,
        max_connections,
        max_fails,
        fail_timeout,
        health,
    };
    (place.document().error_count() == before).then_some(upstream)
}

/// Reads the URLs of the servers. Since all servers have the same content, the URLs may differ only in their addresses.
fn urls(item: Item<'_>) -> Vec<(Place<'_>, Url)> {
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report("the list is empty; it needs at least one server, such as \"http://127.0.0.1:8001\"");
    }
    if items.len() > MAX_SERVERS {
        place.report(format!("more than {MAX_SERVERS} servers"));
    }
    let mut urls: Vec<(Place<'_>, Url)> = Vec::new();
    for item in items {
        let place = item.place.clone();
        let Some(text) = item.text() else { continue };
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(message) => {
                place.report(message);
                continue;
            }
        };
        match urls.first() {
            Some((_, first)) if first.is_https != url.is_https => {
                place.report("either all servers or none must use https");
            }
            Some((_, first)) if first.base != url.base => place.report("all servers must have the same path"),
            _ if urls.iter().any(|(_, other)| *other == url) => place.report("the server is listed twice"),
            _ => {}
        }
        urls.push((place, url));
    }
    urls
}

fn protocol(item: Item<'_>) -> Option<Protocol> {
    item.word(&[("http/1.1", Protocol::Http1), ("h2", Protocol::Http2)])
}

pub(super) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The default of Envoy. Streams that pause for longer need a larger value.
pub(super) const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
pub(super) const DEFAULT_RESOLVE_INTERVAL: Duration = Duration::from_secs(30);
pub(super) const DEFAULT_RETRIES: usize = 1;
/// The same as the maximum number of client connections, so that this limit rejects no request unless it is lowered.
pub(super) const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
pub(super) const DEFAULT_MAX_FAILS: usize = 3;
pub(super) const DEFAULT_FAIL_TIMEOUT: Duration = Duration::from_secs(10);

const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const MAX_KEEPALIVE: Duration = Duration::from_secs(3600);
const MIN_AGE: Duration = Duration::from_secs(1);
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_secs(1);
const MAX_RESOLVE_INTERVAL: Duration = Duration::from_secs(3600);
const MAX_FAIL_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_RETRIES: usize = 10;
const MAX_CONNECTIONS: usize = 100_000;
const MAX_FAILS: usize = 1000;
