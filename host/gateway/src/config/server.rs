//! `[server]`: the public listener, its limits, and the proxies that it trusts. The listeners for fronts and for the
//! operator have sections of their own.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Kind;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;
use portcullis_wire::peer::TrustedProxies;

use crate::config::Bounds;
use crate::config::Listen;
use crate::config::ListenAddress;
use crate::config::PassthroughConfig;
use crate::config::RedirectConfig;
use crate::config::TlsConfig;
use crate::config::passthrough;

/// The settings of the public listener.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// TLS of the listener. `None` for plain HTTP.
    pub(crate) tls: Option<TlsConfig>,
    /// Rules for TLS connections that are forwarded without being decrypted.
    pub(crate) passthrough: Vec<PassthroughConfig>,
    /// The value of `Strict-Transport-Security` (RFC 6797, section 6.1). `None` if the header isn't sent.
    pub(crate) hsts: Option<HeaderValue>,
    /// The listener that redirects plain HTTP to https. `None` if there is no such listener.
    pub(crate) redirect: Option<RedirectConfig>,
    /// The peers whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: TrustedProxies,
    /// The proxies that begin every connection with the PROXY protocol. `None` if the protocol isn't used.
    pub(crate) proxy_protocol: Option<TrustedProxies>,
    /// The maximum number of connections of each listener. `None` for as many as the limit on open files allows.
    pub(crate) max_connections: Option<usize>,
    /// The maximum size of a request's head, which is its request line and headers, in bytes.
    pub(crate) max_header_size: usize,
    /// The maximum number of a request's header fields.
    pub(crate) max_headers: usize,
    /// How long a client may take to send the head of a request.
    pub(crate) header_timeout: Duration,
    /// The limits after the head of the first request.
    pub(crate) bounds: Bounds,
    /// How long new connections are still accepted after the gateway was told to stop. It isn't ready during that time.
    pub(crate) drain_delay: Duration,
    /// How long running requests may take after the listeners are closed.
    pub(crate) shutdown_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: Listen::at(ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)))),
            tls: None,
            passthrough: Vec::new(),
            hsts: None,
            redirect: None,
            trusted_proxies: TrustedProxies::default(),
            proxy_protocol: None,
            max_connections: None,
            max_header_size: 32 * 1024,
            max_headers: 100,
            header_timeout: Duration::from_secs(10),
            bounds: Bounds::default(),
            drain_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl ServerConfig {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = Self::default();
        let listen = Listen::read(&mut table, "127.0.0.1:8000");
        let addresses = default.listen.addresses.iter().map(ToString::to_string);
        table.default("listen", addresses.collect::<Vec<_>>());
        let listen = listen.unwrap_or(default.listen);
        let tls = table.take("tls");
        let has_tls = tls.is_some();
        let tls = tls.and_then(Item::table).and_then(TlsConfig::read);
        let passthrough = table.take("passthrough");
        let passthrough = passthrough.map(|item| passthrough::rules(item, &listen, has_tls));
        let hsts = table.take("hsts").and_then(|item| hsts(item, has_tls));
        let redirect = table.take("redirect").and_then(Item::table);
        let redirect = redirect.and_then(|table| RedirectConfig::read(table, has_tls));
        let allow_all = table.flag("insecure_trust_all_proxies", false);
        let trusted_proxies = table.take("trusted_proxies").map(|item| proxies(item, allow_all));
        let trusted_proxies = trusted_proxies.unwrap_or_default();
        let proxy_protocol = table
            .take("proxy_protocol")
            .and_then(|item| proxy_protocol(item, allow_all, &trusted_proxies));
        let max_connections = table
            .take("max_connections")
            .and_then(|item| item.number(1, MAX_CONNECTIONS));
        let max_header_size = table.size(
            "max_header_size",
            default.max_header_size,
            MIN_HEADER_SIZE..=MAX_HEADER_SIZE,
        );
        let max_headers = table.number("max_headers", default.max_headers, MIN_HEADERS..=MAX_HEADERS);
        let header_timeout = table.duration("header_timeout", default.header_timeout, MIN_TIMEOUT..=MAX_TIMEOUT);
        let bounds = Bounds::take(&mut table);
        let drain_delay = table.duration("drain_delay", default.drain_delay, Duration::ZERO..=MAX_TIMEOUT);
        let shutdown_timeout = table.duration(
            "shutdown_timeout",
            default.shutdown_timeout,
            Duration::ZERO..=MAX_TIMEOUT,
        );
        table.finish();
        Self {
            listen,
            tls,
            passthrough: passthrough.unwrap_or_default(),
            hsts,
            redirect,
            trusted_proxies,
            proxy_protocol,
            max_connections,
            max_header_size,
            max_headers,
            header_timeout,
            bounds,
            drain_delay,
            shutdown_timeout,
        }
    }
}

fn hsts(item: Item<'_>, has_tls: bool) -> Option<HeaderValue> {
    if !has_tls {
        item.place.report("browsers accept it over https only: set server.tls");
    }
    let time = values::duration(item, Duration::ZERO..=MAX_HSTS)?;
    HeaderValue::try_from(format!("max-age={}", time.as_secs())).ok()
}

/// Reads a list of networks, addresses, and `"unix"` for every client of a Unix socket. `allow_all` allows networks that
/// contain all addresses.
fn proxies(item: Item<'_>, allow_all: bool) -> TrustedProxies {
    let mut unix = false;
    let mut networks = Vec::new();
    for item in item.list() {
        let place = item.place.clone();
        let network = match values::network_or_unix(item) {
            None => continue,
            Some(None) => {
                unix = true;
                continue;
            }
            Some(Some(network)) => network,
        };
        if network.prefix_len() == 0 && !allow_all {
            place.report(
                "this trusts every client, so any client can pretend to be another one; list the addresses of your \
                 proxies, or set insecure_trust_all_proxies = true if only proxies can connect",
            );
        }
        networks.push(network);
    }
    TrustedProxies::new(networks, unix)
}

/// Reads `true` for the trusted proxies, or a list of other proxies.
fn proxy_protocol(item: Item<'_>, allow_all: bool, trusted: &TrustedProxies) -> Option<TrustedProxies> {
    let place = item.place.clone();
    let senders = item.either(
        Kind::List,
        |item| Some(proxies(item, allow_all)),
        |item| item.boolean()?.then(|| trusted.clone()),
    )?;
    if senders.is_empty() {
        place.report("no proxy could connect: list your proxies here, or in trusted_proxies");
    }
    Some(senders)
}

const MIN_HEADER_SIZE: usize = 8 * 1024;
const MAX_HEADER_SIZE: usize = 1024 * 1024;
const MIN_HEADERS: usize = 32;
const MAX_HEADERS: usize = 1000;
const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_CONNECTIONS: usize = 1_000_000;
const MAX_HSTS: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
