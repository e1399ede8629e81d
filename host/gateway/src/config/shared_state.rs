//! `[shared_state]`: the Redis or Valkey that several gateways share. Without the section, each keeps its state in its own memory.

use std::sync::Arc;
use std::time::Duration;

use portcullis::session::Key;
use portcullis::shared::SharedOptions;
use portcullis_loader::config::pem;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::secret::secret;
use portcullis_loader::tls::pem::trusted;
use portcullis_loader::tls::trust;
use portcullis_redis::Access;
use portcullis_redis::Location;
use portcullis_redis::Secret;
use rustls::ClientConfig;

use super::session::listed_keys;

/// The settings of the shared state.
#[derive(Clone, Debug)]
pub(crate) struct SharedStateConfig {
    /// How the server is reached.
    pub(crate) access: Access,
    /// What seals the state. Empty if it is the keys of sessions.
    pub(crate) keys: Vec<Key>,
    /// What is shared, and how long requests wait for it.
    pub(crate) options: SharedOptions,
    /// For how long sessions are accepted after the server was lost, although it isn't known which were ended.
    pub(crate) stale_revocations: Duration,
}

const DEFAULT_PREFIX: &str = "portcullis";
const DEFAULT_STALE: Duration = Duration::from_secs(10 * 60);
const MAX_STALE: Duration = Duration::from_secs(30 * 24 * 3600);
const MAX_NEAR: Duration = Duration::from_secs(3600);
const MAX_PREFIX: usize = 64;

impl SharedStateConfig {
    /// Returns `None` if `url` is missing or wrong.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let location = table.require("url").and_then(|item| {
            let place = item.place.clone();
            item.text()?
                .parse::<Location>()
                .map_err(|error| place.report(error.to_string()))
                .ok()
        });
        let mut password = |key| {
            let secret = table.take(key).and_then(secret);
            secret.map(|secret| Secret::new(secret.expose()))
        };
        let (password, sentinel_password) = (password("password"), password("sentinel_password"));
        let ca = table.take("ca");
        if let (Some(item), Some(location)) = (&ca, &location)
            && !location.is_tls()
        {
            item.place
                .report("has no effect, because url isn't one of TLS: it begins with rediss");
        }
        let ca = ca.and_then(|item| {
            let place = item.place.clone();
            let trusted = pem::file(item, trusted)?;
            let client = trust::client(trusted, None);
            client.map_err(|error| place.report(error.to_string())).ok()
        });
        table.default("prefix", DEFAULT_PREFIX);
        let prefix = table.take("prefix").and_then(|item| {
            item.parse("a text of 1 to 64 letters, digits, -, _, . and :", |text| {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
                let is_name = (1..=MAX_PREFIX).contains(&text.len()) && text.bytes().all(allowed);
                is_name.then(|| text.to_owned())
            })
        });
        let keys = table.take("keys").map(listed_keys).unwrap_or_default();
        let default = SharedOptions::default();
        let mut options = default;
        options.caches = table.flag("caches", default.caches);
        options.rates = table.flag("rates", default.rates);
        options.near = table.duration("near", default.near, Duration::ZERO..=MAX_NEAR);
        let patience = Duration::from_millis(1)..=SharedOptions::MAX_PATIENCE;
        options.patience = table.duration("patience", default.patience, patience);
        let stale_revocations = table.duration("stale_revocations", DEFAULT_STALE, Duration::ZERO..=MAX_STALE);
        table.finish();
        let location = location?;
        let tls = location
            .is_tls()
            .then(|| ca.map_or_else(system, |ca| Some(Arc::new(ca))))
            .flatten();
        Some(Self {
            access: Access {
                location,
                password,
                sentinel_password,
                tls,
                prefix: prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
            },
            keys,
            options,
            stale_revocations,
        })
    }
}

/// Trust in the authorities of the system. `None` if TLS can't be used at all, and then nothing is reached.
fn system() -> Option<Arc<ClientConfig>> {
    trust::client_of_system().ok().map(Arc::new)
}
