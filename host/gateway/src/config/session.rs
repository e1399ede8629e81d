//! `[session]`: the cookie that carries an authenticated user from one request to the next.

use std::time::Duration;

use portcullis::session::Key;

use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::secret::secret;
use crate::config::values;

/// Session cookies.
#[derive(Debug)]
pub(crate) struct SessionConfig {
    /// The first seals, all open.
    pub(crate) keys: Vec<Key>,
    /// How long a session lasts at most.
    pub(crate) max_age: Duration,
    /// The cookie's name.
    pub(crate) cookie: String,
    /// Whether the cookie is for HTTPS only; none: unless the gateway listens on a loopback address.
    pub(crate) secure: Option<bool>,
}

impl SessionConfig {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let keys = match table.take("keys") {
            Some(item) => listed_keys(item),
            None => Vec::from_iter(key_of_environment(&table)),
        };
        let max_age = table
            .take("max_age")
            .and_then(|item| values::duration(item, MIN_AGE..=MAX_AGE));
        let cookie = table.take("cookie").and_then(values::token);
        let secure = table.take("secure").and_then(|item| item.boolean());
        table.finish();
        Self {
            keys,
            max_age: max_age.unwrap_or(DEFAULT_AGE),
            cookie: cookie.unwrap_or_else(|| DEFAULT_COOKIE.to_owned()),
            secure,
        }
    }
}

fn listed_keys(item: Item<'_>) -> Vec<Key> {
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report("at least one key is needed; `portcullis keygen` makes one");
    }
    items.into_iter().filter_map(listed_key).collect()
}

fn listed_key(item: Item<'_>) -> Option<Key> {
    let place = item.place.clone();
    let secret = secret(item)?;
    Key::from_hex(secret.expose())
        .map_err(|error| place.report(error.to_string()))
        .ok()
}

fn key_of_environment(table: &Table<'_>) -> Option<Key> {
    let environment = table.place.document().environment();
    let Some((name, value)) = VARIABLES
        .iter()
        .find_map(|name| Some((name, environment.variable(name)?)))
    else {
        let [ours, compatible] = VARIABLES;
        table.place.report(format!(
            "there is no key: list some as keys = [\"file:PATH\"], or set {ours} or {compatible}; `portcullis keygen` \
             makes one"
        ));
        return None;
    };
    Key::from_hex(value)
        .map_err(|error| table.place.report(format!("{name}: {error}")))
        .ok()
}

const VARIABLES: [&str; 2] = ["PORTCULLIS_COOKIE_SECRET", "DASK_GATEWAY_COOKIE_SECRET"];
const DEFAULT_COOKIE: &str = "portcullis";
const DEFAULT_AGE: Duration = Duration::from_secs(12 * 3600);
const MIN_AGE: Duration = Duration::from_secs(60);
/// What browsers keep a cookie for at most (RFC 6265bis, section 5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);
