//! `[upstreams.NAME]`, and `upstream` in a route: where requests go, and what holds on the way there.

mod health;
mod table;
mod tls;
mod url;

use std::cell::OnceCell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;

use crate::config::authenticator;
use crate::config::error;
use crate::config::reader::Item;
use crate::config::reader::Place;
use crate::config::reader::Table;
use crate::tls::trust;

pub(crate) use self::health::HealthConfig;
pub(crate) use self::url::Address;
use self::url::Url;

/// Most tables.
const MAX_UPSTREAMS: usize = 256;

/// Where a route's requests go.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    /// To HTTP servers.
    Http(Arc<UpstreamConfig>),
    /// To the built-in page that shows who you are.
    WhoAmI,
}

/// HTTP servers of which each serves the same, and how they are asked.
#[derive(Debug)]
pub(crate) struct UpstreamConfig {
    /// What logs and metrics call it: the name of its table, or its URL. No two that differ have the same.
    pub(crate) name: String,
    /// At least one.
    pub(crate) servers: Vec<ServerConfig>,
    /// Prepended to a request's path; empty, or starts with a slash and doesn't end with one.
    pub(crate) base: String,
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Whom it trusts and who the gateway is there, without protocols for ALPN; none: plain text.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// How long a connection may take, its TLS included, and the wait for a place among the connections.
    pub(crate) connect_timeout: Duration,
    /// How long neither body, or neither side of an upgraded connection, may move.
    pub(crate) idle_timeout: Duration,
    /// How often a request is tried again at most.
    pub(crate) retries: usize,
    /// Most connections to one server.
    pub(crate) max_connections: usize,
    /// Failures in a row after which one of several servers is left alone.
    pub(crate) max_fails: usize,
    /// For how long at first.
    pub(crate) fail_timeout: Duration,
    /// How servers are looked after; none: requests show whether they live.
    pub(crate) health: Option<HealthConfig>,
}

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServerConfig {
    /// Where it is.
    pub(crate) address: Address,
    /// The name that its certificate must be for; none: plain text.
    pub(crate) tls_name: Option<ServerName<'static>>,
}

/// What is spoken to servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, also in plain text: with prior knowledge (RFC 9113, section 3.3).
    Http2,
    /// HTTP/2 where the server agrees by ALPN, else HTTP/1.1.
    Negotiated,
}

impl UpstreamConfig {
    /// Whether another configuration says the same. TLS settings count as the same only if they are one and the same
    /// value, since keys can't be compared.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same_tls
            && self.name == other.name
            && self.servers == other.servers
            && self.base == other.base
            && self.protocol == other.protocol
            && self.connect_timeout == other.connect_timeout
            && self.idle_timeout == other.idle_timeout
            && self.retries == other.retries
            && self.max_connections == other.max_connections
            && self.max_fails == other.max_fails
            && self.fail_timeout == other.fail_timeout
            && self.health == other.health
    }

    /// One server, with what holds when nothing is said.
    fn from_url(name: &str, url: Url, roots: &SystemRoots) -> Result<Self, String> {
        let tls = url.is_https.then(|| trust::client(roots.get(), None)).transpose();
        let tls = tls.map_err(|error| error.to_string())?;
        let protocol = Protocol::default_for(tls.is_some());
        Ok(Self {
            name: name.to_owned(),
            base: url.base.clone(),
            servers: vec![ServerConfig::new(url, None)?],
            protocol,
            tls: tls.map(Arc::new),
            connect_timeout: table::DEFAULT_CONNECT_TIMEOUT,
            idle_timeout: table::DEFAULT_IDLE_TIMEOUT,
            retries: table::DEFAULT_RETRIES,
            max_connections: table::DEFAULT_MAX_CONNECTIONS,
            max_fails: table::DEFAULT_MAX_FAILS,
            fail_timeout: table::DEFAULT_FAIL_TIMEOUT,
            health: None,
        })
    }
}

impl ServerConfig {
    /// `name` is what its certificate must be for, instead of its host.
    fn new(url: Url, name: Option<&ServerName<'static>>) -> Result<Self, String> {
        let tls_name = match url.is_https {
            true => Some(name.cloned().or_else(|| url.tls_name()).ok_or(NO_NAME)?),
            false => None,
        };
        Ok(Self {
            address: url.address,
            tls_name,
        })
    }
}

const NO_NAME: &str = "no certificate can be for this host";

impl Protocol {
    fn default_for(is_https: bool) -> Self {
        if is_https { Self::Negotiated } else { Self::Http1 }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(config) if authenticator::is_name(&config.name) => {
                let servers = config.servers.iter().map(|server| server.address.to_string());
                write!(f, "{} ({})", config.name, Vec::from_iter(servers).join(", "))
            }
            Self::Http(config) => f.write_str(&config.name),
            Self::WhoAmI => f.write_str(WHO_AM_I),
        }
    }
}

const WHO_AM_I: &str = "portcullis:whoami";

/// The tables of a configuration, for the routes that name them.
#[derive(Default)]
pub(super) struct Upstreams {
    /// By name; none: something in it is wrong, and was reported.
    named: BTreeMap<String, Option<Arc<UpstreamConfig>>>,
    /// By URL, so that routes with the same URL share its servers.
    of_urls: RefCell<BTreeMap<String, Arc<UpstreamConfig>>>,
    roots: SystemRoots,
}

impl Upstreams {
    /// `[upstreams]`.
    pub(super) fn read(item: Option<Item<'_>>) -> Self {
        let mut upstreams = Self::default();
        let Some(item) = item else { return upstreams };
        let place = item.place.clone();
        for (name, item) in item.table().into_iter().flat_map(Table::into_entries) {
            if !authenticator::is_name(&name) {
                item.place
                    .report(format!("an upstream's name is {}", authenticator::NAME_RULE));
            }
            let read = table::read(&name, item, &upstreams.roots).map(Arc::new);
            upstreams.named.insert(name, read);
        }
        if upstreams.named.len() > MAX_UPSTREAMS {
            place.report(format!("more than {MAX_UPSTREAMS} upstreams"));
        }
        upstreams
    }

    /// What a route's `upstream` means: the name of a table, a URL, or `portcullis:whoami`.
    pub(super) fn find(&self, place: &Place<'_>, text: &str) -> Option<Upstream> {
        if text == WHO_AM_I {
            return Some(Upstream::WhoAmI);
        }
        if authenticator::is_name(text) {
            let known = self.named.get(text);
            if known.is_none() {
                let what = format!("upstream {text:?}");
                place.report(error::unknown(&what, text, self.named.keys().map(String::as_str)));
            }
            return known?.clone().map(Upstream::Http);
        }
        if let Some(known) = self.of_urls.borrow().get(text) {
            return Some(Upstream::Http(Arc::clone(known)));
        }
        let config = Url::parse(text).and_then(|url| UpstreamConfig::from_url(text, url, &self.roots));
        let config = Arc::new(config.map_err(|message| place.report(message)).ok()?);
        self.of_urls.borrow_mut().insert(text.to_owned(), Arc::clone(&config));
        Some(Upstream::Http(config))
    }
}

/// The authorities that the system trusts, looked for once and only when they are needed.
#[derive(Default)]
struct SystemRoots(OnceCell<RootCertStore>);

impl SystemRoots {
    fn get(&self) -> RootCertStore {
        self.0.get_or_init(trust::system).clone()
    }
}
