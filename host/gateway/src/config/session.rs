//! `[session]`: the cookie that carries an authenticated user from one request to the next.

use std::time::Duration;

use portcullis::session::Key;

use crate::config::document::Environment;
use crate::config::reader::Item;
use crate::config::reader::Place;
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
            None => {
                if variable(table.place.document().environment()).is_none() {
                    let [ours, compatible] = VARIABLES;
                    table.place.report(format!(
                        "there is no key: list some as keys = [\"file:PATH\"], or set {ours} or {compatible}; `portcullis \
                         keygen` makes one"
                    ));
                }
                Vec::from_iter(key_of_environment(&table.place))
            }
        };
        let max_age = table
            .take("max_age")
            .and_then(|item| values::duration(item, MIN_AGE..=MAX_AGE));
        let cookie = table.take("cookie").and_then(cookie);
        let secure = table.take("secure").and_then(|item| item.boolean());
        table.finish();
        Self {
            keys,
            max_age: max_age.unwrap_or(DEFAULT_AGE),
            cookie: cookie.unwrap_or_else(|| DEFAULT_COOKIE.to_owned()),
            secure,
        }
    }

    /// What holds without the section: sessions when the environment has a key for them.
    pub(super) fn of_environment(place: &Place<'_>) -> Option<Self> {
        let key = key_of_environment(place)?;
        Some(Self {
            keys: vec![key],
            max_age: DEFAULT_AGE,
            cookie: DEFAULT_COOKIE.to_owned(),
            secure: None,
        })
    }
}

/// Browsers treat names with two leading underscores in their own ways (RFC 6265bis, section 4.1.3), so whether one is
/// needed is decided with `secure`.
fn cookie(item: Item<'_>) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let name = |text: &str| !text.is_empty() && text.bytes().all(allowed) && !text.starts_with("__");
    item.parse(
        "a name of letters, digits, - and _ that doesn't begin with __; the prefix __Host- is added by itself",
        |text| name(text).then(|| text.to_owned()),
    )
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

/// The key that a variable holds; none when no variable is set or its value is reported as wrong.
fn key_of_environment(place: &Place<'_>) -> Option<Key> {
    let (name, value) = variable(place.document().environment())?;
    Key::from_hex(value)
        .map_err(|error| place.report(format!("{name}: {error}")))
        .ok()
}

fn variable(environment: &Environment) -> Option<(&'static str, &str)> {
    VARIABLES
        .iter()
        .find_map(|name| Some((*name, environment.variable(name)?)))
}

const VARIABLES: [&str; 2] = ["PORTCULLIS_COOKIE_SECRET", "DASK_GATEWAY_COOKIE_SECRET"];
const DEFAULT_COOKIE: &str = "portcullis";
const DEFAULT_AGE: Duration = Duration::from_secs(12 * 3600);
const MIN_AGE: Duration = Duration::from_secs(1);
/// What browsers keep a cookie for at most (RFC 6265bis, section 5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);
