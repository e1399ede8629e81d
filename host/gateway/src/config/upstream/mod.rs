//! `[upstreams.NAME]`, and `upstream` in a route: the servers to which requests are forwarded. Routes with the same upstream
//! share its configuration, and so its connections.

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

use portcullis_loader::config::error;
use portcullis_loader::config::plugin::NAME_RULE;
use portcullis_loader::config::plugin::is_name;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;
use portcullis_loader::tls::trust;
use portcullis_loader::tls::trust::Trusted;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub(crate) use self::health::HealthConfig;
pub(crate) use self::url::Address;
use self::url::Url;

/// The maximum number of upstreams.
const MAX_UPSTREAMS: usize = 256;

/// Where the requests of a route are forwarded.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    /// HTTP servers.
    Http(Arc<UpstreamConfig>),
    /// The built-in page that shows who the user is.
    WhoAmI,
}

/// A group of HTTP servers that all serve the same content.
#[derive(Debug)]
pub(crate) struct UpstreamConfig {
    /// The name for logs and metrics: the name of the table, or the URL. It is unique.
    pub(crate) name: String,
    /// The servers, at least one.
    pub(crate) servers: Vec<ServerConfig>,
    /// Prepended to the path of a request. It is empty, or starts with a slash and doesn't end with one.
    pub(crate) base: String,
    /// The HTTP version for the servers.
    pub(crate) protocol: Protocol,
    /// The trusted authorities and the client certificate, without ALPN protocols. `None` for plain text.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// How long it may take to connect, TLS included, or to wait for a free connection.
    pub(crate) connect_timeout: Duration,
    /// How long the bodies of a request and its response, or both directions of an upgraded connection, may pause at the
    /// same time.
    pub(crate) idle_timeout: Duration,
    /// How long idle connections are kept.
    pub(crate) keepalive: Keepalive,
    /// How often the names of servers are looked up.
    pub(crate) resolve_interval: Duration,
    /// The maximum number of retries of a request.
    pub(crate) retries: usize,
    /// The maximum number of connections to one server.
    pub(crate) max_connections: usize,
    /// After how many failed requests in a row one of several servers gets no more requests.
    pub(crate) max_fails: usize,
    /// How long such a server gets no requests, the first time.
    pub(crate) fail_timeout: Duration,
    /// Active health checks. `None` if only failed requests show that a server is down.
    pub(crate) health: Option<HealthConfig>,
}

/// A server of an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServerConfig {
    /// The address of the server.
    pub(crate) address: Address,
    /// The name for which the server's certificate must be valid. `None` for plain text.
    pub(crate) tls_name: Option<ServerName<'static>>,
}

/// How long connections to servers are kept for further requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Keepalive {
    /// How long an HTTP/1.1 connection may be idle. Zero if connections aren't reused.
    pub(crate) http1: Duration,
    /// How long an HTTP/2 connection may be idle.
    pub(crate) http2: Duration,
    /// How long a connection is used for new requests.
    pub(crate) max_age: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            // Shorter than the 5 seconds after which Node.js closes an idle connection. If a connection closes while a
            // request is sent, the server may have processed the request, and it can be repeated only if that is harmless.
            http1: Duration::from_secs(4),
            // Longer, because an HTTP/2 server that closes declares which requests it has processed (RFC 9113, section 6.8).
            http2: Duration::from_secs(60),
            max_age: Duration::from_secs(600),
        }
    }
}

/// The HTTP version that is used for servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2. In plain text, prior knowledge is assumed (RFC 9113, section 3.3).
    Http2,
    /// HTTP/2 if the server selects it by ALPN, or else HTTP/1.1.
    Negotiated,
}

impl UpstreamConfig {
    /// An upstream with a single server and the default settings.
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
            keepalive: Keepalive::default(),
            resolve_interval: table::DEFAULT_RESOLVE_INTERVAL,
            retries: table::DEFAULT_RETRIES,
            max_connections: table::DEFAULT_MAX_CONNECTIONS,
            max_fails: table::DEFAULT_MAX_FAILS,
            fail_timeout: table::DEFAULT_FAIL_TIMEOUT,
            health: None,
        })
    }
}

impl ServerConfig {
    /// `name` replaces the host as the name for which the certificate must be valid.
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

const NO_NAME: &str = "no certificate can be valid for this host";

impl Protocol {
    fn default_for(is_https: bool) -> Self {
        if is_https { Self::Negotiated } else { Self::Http1 }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(config) if is_name(&config.name) => {
                let servers = config.servers.iter().map(|server| server.address.to_string());
                write!(f, "{} ({})", config.name, Vec::from_iter(servers).join(", "))
            }
            Self::Http(config) => f.write_str(&config.name),
            Self::WhoAmI => f.write_str(WHO_AM_I),
        }
    }
}

const WHO_AM_I: &str = "portcullis:whoami";

/// All upstreams of a configuration, for the routes that use them.
#[derive(Default)]
pub(super) struct Upstreams {
    /// The upstreams by name. `None` for one with a mistake, which has been reported.
    named: BTreeMap<String, Option<Arc<UpstreamConfig>>>,
    /// The upstreams by URL, so that routes with the same URL share one.
    of_urls: RefCell<BTreeMap<String, Arc<UpstreamConfig>>>,
    roots: SystemRoots,
}

impl Upstreams {
    /// Reads `[upstreams]`.
    pub(super) fn read(item: Option<Item<'_>>) -> Self {
        let mut upstreams = Self::default();
        let Some(item) = item else { return upstreams };
        let place = item.place.clone();
        for (name, item) in item.table().into_iter().flat_map(Table::into_entries) {
            if !is_name(&name) {
                item.place.report(format!("an upstream's name must be {}", NAME_RULE));
            }
            let read = table::read(&name, item, &upstreams.roots).map(Arc::new);
            upstreams.named.insert(name, read);
        }
        if upstreams.named.len() > MAX_UPSTREAMS {
            place.report(format!("more than {MAX_UPSTREAMS} upstreams"));
        }
        upstreams
    }

    /// Finds the upstream for the `upstream` of a route: the name of a table, a URL, or `portcullis:whoami`.
    pub(super) fn find(&self, place: &Place<'_>, text: &str) -> Option<Upstream> {
        if text == WHO_AM_I {
            return Some(Upstream::WhoAmI);
        }
        if is_name(text) {
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

/// The authorities that the system trusts. They are loaded once, when they are first needed.
#[derive(Default)]
struct SystemRoots(OnceCell<Trusted>);

impl SystemRoots {
    fn get(&self) -> Trusted {
        self.0.get_or_init(trust::system).clone()
    }
}
