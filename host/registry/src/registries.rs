//! The registries that the operator configured, and what is common to all of them: the store, the time limit, the proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

use crate::credentials::Credentials;
use crate::dialer::Dialer;
use crate::dialer::ProxyFor;
use crate::error::Error;
use crate::exchange::HttpClient;
use crate::reference::Reference;
use crate::session::Action;
use crate::session::Session;
use crate::store::Store;

/// Makes the TLS settings for registries without settings of their own, which trust what the system trusts. It is called for
/// each connection pool, so that nothing is read before a registry is asked.
pub type TlsOfSystem = Arc<dyn Fn() -> Result<Arc<ClientConfig>, String> + Send + Sync>;

/// What is configured for one registry.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Host {
    /// Its credentials. `None` if those of Docker's configuration are used.
    pub credentials: Option<Credentials>,
    /// How its certificate is checked. `None` for the authorities of the system.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whether it is asked over http, without TLS.
    pub plain_http: bool,
    /// The registries that are asked before it.
    pub mirrors: Vec<Mirror>,
}

/// A registry that has what another one has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    host: String,
    prefix: String,
}

impl Mirror {
    /// Reads `HOST[:PORT][/PREFIX]`. The prefix stands before the repository.
    pub fn parse(text: &str) -> Option<Self> {
        // The rules for a prefix are those for a repository.
        let reference: Reference = format!("{}{}/x:x", crate::SCHEME, text.trim_end_matches('/'))
            .parse()
            .ok()?;
        let prefix = reference.repository().strip_suffix('x')?;
        Some(Self {
            host: reference.registry().to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// Whether it has the same repositories, without a prefix.
    pub fn is_whole(&self) -> bool {
        self.prefix.is_empty()
    }

    /// The registry.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// What is configured for all registries.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The registries with settings of their own, by host and port.
    pub hosts: BTreeMap<String, Host>,
    /// Where to keep what was pulled. `None` if it isn't kept.
    pub store: Option<Store>,
    /// The folder of Docker's `config.json`. `None` if there is none.
    pub docker_config: Option<PathBuf>,
    /// How long one pull may take.
    pub timeout: Duration,
    /// The forward proxy. `None` if registries are asked directly.
    pub proxy: Option<ProxyFor>,
    /// The TLS settings for registries without their own.
    pub tls: TlsOfSystem,
}

impl Options {
    /// How long one pull may take unless another time is configured.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

    /// Options for registries without settings of their own, and without a store.
    pub fn new(tls: TlsOfSystem) -> Self {
        Self {
            hosts: BTreeMap::new(),
            store: None,
            docker_config: None,
            timeout: Self::DEFAULT_TIMEOUT,
            proxy: None,
            tls,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("hosts", &self.hosts)
            .field("store", &self.store)
            .field("docker_config", &self.docker_config)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The registries. A clone is the same.
#[derive(Clone, Debug)]
pub struct Registries(Arc<Options>);

impl Registries {
    /// Registries with these options.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(options))
    }

    pub(crate) fn host(&self, host: &str) -> Option<&Host> {
        self.0.hosts.get(host)
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.0.store.as_ref()
    }

    pub(crate) fn docker_config(&self) -> Option<&Path> {
        self.0.docker_config.as_deref()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Makes a client for a host, with the TLS settings of that host.
    pub(crate) fn client(&self, host: &str) -> Result<HttpClient, Error> {
        let own = self.host(host).and_then(|host| host.tls.clone());
        let tls = own.map_or_else(|| (self.0.tls)(), Ok).map_err(Error::Tls)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&tls))
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dialer::new(self.0.proxy.clone()));
        Ok(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Opens a session with the registry of a reference itself.
    pub(crate) fn session(&self, reference: &Reference, action: Action) -> Result<Session, Error> {
        Session::new(self, reference.registry(), reference.repository(), action)
    }

    /// Asks the mirrors of a registry in order, and then the registry itself, until one has what is wanted. The error is that
    /// of the registry itself; the log has those of the mirrors.
    pub(crate) async fn ask<T, F: Future<Output = Result<T, Error>>>(
        &self,
        reference: &Reference,
        ask: impl Fn(Session) -> F,
    ) -> Result<T, Error> {
        let mirrors = self.host(reference.registry()).map(|host| host.mirrors.as_slice());
        for Mirror { host, prefix } in mirrors.unwrap_or_default() {
            let repository = format!("{prefix}{}", reference.repository());
            match ask(Session::new(self, host, &repository, Action::Pull)?).await {
                Err(error) if error.is_of_one_server() => {
                    tracing::warn!(%reference, mirror = host, %error, "a mirror was of no use");
                }
                answer => return answer,
            }
        }
        ask(self.session(reference, Action::Pull)?).await
    }

    /// Ends what takes too long.
    pub(crate) async fn in_time<T>(
        &self,
        reference: &Reference,
        what: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let timeout = |_| Error::Timeout {
            host: reference.registry().to_owned(),
            what,
            limit: self.timeout(),
        };
        tokio::time::timeout(self.timeout(), work).await.map_err(timeout)?
    }
}
