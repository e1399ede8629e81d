//! `[server]`: the public listener, and what it believes.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::PassthroughConfig;
use crate::config::TlsConfig;
use crate::config::passthrough;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::values;

/// The public listener.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// TLS; none: plain HTTP.
    pub(crate) tls: Option<TlsConfig>,
    /// TLS connections that go on as they are.
    pub(crate) passthrough: Vec<PassthroughConfig>,
    /// The peers whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Largest head of a request, request line and headers together, in bytes.
    pub(crate) max_header_size: usize,
    /// How long a client may take to send the head of a request.
    pub(crate) header_timeout: Duration,
    /// How long running requests may take once the gateway was told to stop.
    pub(crate) shutdown_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            tls: None,
            passthrough: Vec::new(),
            trusted_proxies: Vec::new(),
            max_header_size: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl ServerConfig {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = Self::default();
        let listen = table.take("listen").and_then(|item| {
            item.parse("an address with a port, such as \"127.0.0.1:8000\"", |text| {
                text.parse().ok()
            })
        });
        let listen = listen.unwrap_or(default.listen);
        let tls = table.take("tls");
        let has_tls = tls.is_some();
        let tls = tls.and_then(Item::table).and_then(TlsConfig::read);
        let passthrough = table.take("passthrough");
        let passthrough = passthrough.map(|item| passthrough::rules(item, &[listen], has_tls));
        let trusted_proxies = trusted_proxies(&mut table);
        let max_header_size = table
            .take("max_header_size")
            .and_then(|item| values::size(item, MIN_HEADER_SIZE..=MAX_HEADER_SIZE));
        let header_timeout = table
            .take("header_timeout")
            .and_then(|item| values::duration(item, MIN_TIMEOUT..=MAX_TIMEOUT));
        let shutdown_timeout = table
            .take("shutdown_timeout")
            .and_then(|item| values::duration(item, Duration::ZERO..=MAX_TIMEOUT));
        table.finish();
        Self {
            listen,
            tls,
            passthrough: passthrough.unwrap_or_default(),
            trusted_proxies,
            max_header_size: max_header_size.unwrap_or(default.max_header_size),
            header_timeout: header_timeout.unwrap_or(default.header_timeout),
            shutdown_timeout: shutdown_timeout.unwrap_or(default.shutdown_timeout),
        }
    }
}

fn trusted_proxies(table: &mut Table<'_>) -> Vec<IpNet> {
    let everybody = table
        .take("insecure_trust_all_proxies")
        .and_then(|item| item.boolean())
        .unwrap_or_default();
    values::each(table.take("trusted_proxies"), |item| {
        let place = item.place.clone();
        let network = values::network(item)?;
        if network.prefix_len() == 0 && !everybody {
            place.report(
                "this believes whoever connects, so that any client can pretend to be another; list the addresses of \
                 your proxies, or say insecure_trust_all_proxies = true where only proxies can connect",
            );
        }
        Some(network)
    })
}

const MIN_HEADER_SIZE: usize = 8 * 1024;
const MAX_HEADER_SIZE: usize = 1024 * 1024;
const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
