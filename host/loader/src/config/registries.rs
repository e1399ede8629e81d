//! `[registries."HOST"]`: how a registry of plugins is reached. A registry without a section is asked over https, with the
//! credentials that `docker login` stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis::OutboundProxy;
use portcullis_registry::Credentials;
use portcullis_registry::Host;
use portcullis_registry::Mirror;
use portcullis_registry::Options;
use portcullis_registry::Proxy;
use portcullis_registry::Registries;
use portcullis_registry::Store;
use portcullis_registry::is_host;

use crate::config::document::Environment;
use crate::config::pem;
use crate::config::reader::Table;
use crate::config::secret::secret;
use crate::config::secret::text_or_reference;
use crate::config::values;
use crate::tls::pem::trusted;
use crate::tls::trust;

/// The registries, by host and port.
#[derive(Debug, Default)]
pub struct RegistriesConfig {
    hosts: BTreeMap<String, Host>,
    /// The folder of Docker's `config.json`. `None` if the environment names none.
    docker: Option<PathBuf>,
}

/// The maximum number of mirrors of a registry.
const MAX_MIRRORS: usize = 16;

impl RegistriesConfig {
    /// Reads all sections.
    pub fn read(table: Option<Table<'_>>, environment: &Environment) -> Self {
        let mut hosts = BTreeMap::new();
        for (name, item) in table.into_iter().flat_map(Table::into_entries) {
            let place = item.place.clone();
            if !is_host(&name) {
                place.report(format!(
                    "{name:?} is no registry: expected HOST or HOST:PORT, in quotes"
                ));
            }
            let Some(table) = item.table() else { continue };
            let host = read_host(table, &name);
            if hosts.insert(name.to_ascii_lowercase(), host).is_some() {
                place.report("is the same registry as another section, since case doesn't matter");
            }
        }
        Self {
            hosts,
            docker: docker_config(environment),
        }
    }
}

/// The folder of Docker's configuration, as Docker finds it.
fn docker_config(environment: &Environment) -> Option<PathBuf> {
    let set = |name: &str| {
        environment
            .variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))
}

fn read_host(mut table: Table<'_>, name: &str) -> Host {
    let mut host = Host::default();
    host.credentials = credentials(&mut table);
    host.plain_http = table.flag("plain_http", false);
    if let Some(item) = table.take("ca") {
        let place = item.place.clone();
        if host.plain_http {
            place.report("has no effect with plain_http: there is no certificate to check");
        }
        host.tls = pem::file(item, trusted).and_then(|roots| match trust::client(roots, None) {
            Ok(config) => Some(Arc::new(config)),
            Err(error) => {
                place.report(error.to_string());
                None
            }
        });
    }
    let mirrors = table.take("mirrors");
    let place = mirrors.as_ref().map(|item| item.place.clone());
    host.mirrors = values::each(mirrors, |item| {
        item.parse(
            "a mirror: HOST[:PORT][/PREFIX], such as \"mirror.example/cache\"",
            Mirror::parse,
        )
    });
    if let Some(place) = place {
        if host.mirrors.len() > MAX_MIRRORS {
            place.report(format!("more than {MAX_MIRRORS} mirrors"));
        }
        if host
            .mirrors
            .iter()
            .any(|mirror| mirror.host() == name && mirror.is_whole())
        {
            place.report("names the registry itself, which is always asked last");
        }
    }
    table.finish();
    host
}

/// Takes `username` and `password`, of which neither is of use alone.
fn credentials(table: &mut Table<'_>) -> Option<Credentials> {
    match (table.take("username"), table.take("password")) {
        (None, None) => None,
        (Some(item), None) => {
            item.place.report("needs its password: set password");
            None
        }
        (None, Some(item)) => {
            item.place.report("needs its user name: set username");
            None
        }
        (Some(username), Some(password)) => {
            let place = username.place.clone();
            let username = username.text().and_then(|text| {
                let username = text_or_reference(place.document(), text);
                username.map_err(|message| place.report(message)).ok()
            });
            let password = secret(password);
            if username.as_ref().is_some_and(|username| username.contains(':')) {
                place.report("can't have a colon (RFC 7617)");
            }
            Some(Credentials::Password {
                username: username?,
                password: password?.expose().to_owned(),
            })
        }
    }
}

/// Where components of registries are kept unless another folder is configured: in this cache directory.
pub fn store_below(cache: &Path) -> PathBuf {
    cache.join("registry")
}

/// How components are pulled, whatever registry has them.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "a program says each, or leaves its default")]
pub struct Pulling {
    /// Where they are kept. `None` if they aren't.
    pub store_directory: Option<PathBuf>,
    /// How long one may take. `None` for the default.
    pub timeout: Option<Duration>,
    /// The forward proxy. `None` if registries are asked directly.
    pub proxy: Option<OutboundProxy>,
}

impl RegistriesConfig {
    /// The registries of plugins, as configured.
    pub fn registries(&self, pulling: Pulling) -> Registries {
        let tls = || {
            let config = trust::client(trust::system(), None).map_err(|error| error.to_string())?;
            Ok(Arc::new(config))
        };
        let mut options = Options::new(Arc::new(tls));
        options.hosts.clone_from(&self.hosts);
        options.docker_config.clone_from(&self.docker);
        options.store = pulling.store_directory.map(Store::new);
        options.timeout = pulling.timeout.unwrap_or(Options::DEFAULT_TIMEOUT);
        options.proxy = pulling.proxy.map(|proxy| {
            let found: portcullis_registry::ProxyFor = Arc::new(move |uri| {
                let (uri, credentials) = proxy.find(uri)?;
                Some(Proxy::new(uri, credentials))
            });
            found
        });
        Registries::new(options)
    }
}
