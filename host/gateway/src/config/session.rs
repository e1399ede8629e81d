//! `[session]`: the cookie that says who the user is, so that later requests need no credentials. Without the section,
//! sessions are enabled if the environment has a key, or if people log in with a browser.

use std::sync::Arc;
use std::time::Duration;

use portcullis::session::Key;
use portcullis::session::SameSitePolicy;
use portcullis_loader::config::document::Environment;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::secret::secret;
use portcullis_loader::config::values;

use crate::config::Upstream;
use crate::config::UpstreamConfig;
use crate::config::upstream::Upstreams;
use crate::routing::host::HostPattern;

/// The settings for session cookies.
#[derive(Debug)]
pub(crate) struct SessionConfig {
    /// The first key seals new sessions; all keys can open existing ones. Empty if the gateway makes a key and keeps it in the state
    /// folder.
    pub(crate) keys: Vec<Key>,
    /// The maximum age of a session.
    pub(crate) max_age: Duration,
    /// After how long a session ends that isn't used. `None` if only its age counts.
    pub(crate) idle: Option<Duration>,
    /// How many sessions that are over before their end are known at most.
    pub(crate) revocations: usize,
    /// The gateways that are told of them.
    pub(crate) peers: Vec<Arc<UpstreamConfig>>,
    /// The name of the cookie.
    pub(crate) cookie: String,
    /// Whether the cookie is sent over https only. `None` if that depends on whether the gateway listens on loopback only.
    pub(crate) secure: Option<bool>,
    /// The domain whose hosts share the cookie. `None` if it is for the requested host alone.
    pub(crate) domain: Option<String>,
    /// On which requests from other sites browsers send the cookie.
    pub(crate) same_site: SameSitePolicy,
    /// Whether browsers keep a cookie for each site that shows this one in a frame.
    pub(crate) partitioned: bool,
    /// Whether sessions go on when the component or the settings of their authenticator change.
    pub(crate) outlive_changes: bool,
}

impl SessionConfig {
    /// How old a session becomes, unless the configuration says otherwise.
    pub(crate) const DEFAULT_AGE: Duration = Duration::from_secs(12 * 3600);
    /// How many sessions that are over are known at most, unless the configuration says otherwise.
    pub(crate) const DEFAULT_REVOCATIONS: usize = 100_000;

    pub(super) fn read(mut table: Table<'_>, upstreams: &Upstreams) -> Self {
        let keys = match table.take("keys") {
            Some(item) => listed_keys(item),
            None => Vec::from_iter(key_of_environment(&table.place)),
        };
        let max_age = table.duration("max_age", Self::DEFAULT_AGE, MIN_AGE..=MAX_AGE);
        let idle = table.take("idle").and_then(|item| {
            let place = item.place.clone();
            let idle = values::duration(item, MIN_AGE..=MAX_AGE)?;
            if idle >= max_age {
                place.report("has no effect, because it isn't shorter than max_age");
            }
            Some(idle)
        });
        let revocations = table.number("revocations", Self::DEFAULT_REVOCATIONS, 1..=MAX_REVOCATIONS);
        let peers = values::each(table.take("peers"), |item| peer(item, upstreams));
        if peers.len() > MAX_PEERS {
            table.place.report(format!("peers has more than {MAX_PEERS} entries"));
        }
        table.default("cookie", DEFAULT_COOKIE);
        let cookie = table.take("cookie").and_then(cookie);
        let secure = table.take("secure").and_then(|item| item.boolean());
        let domain = table.take("domain").and_then(domain);
        let same_site = table.word(
            "same_site",
            SameSitePolicy::Lax,
            &[
                ("lax", SameSitePolicy::Lax),
                ("strict", SameSitePolicy::Strict),
                ("none", SameSitePolicy::None),
            ],
        );
        let partitioned = table.flag("partitioned", false);
        for (key, is_set) in [
            ("partitioned", partitioned),
            ("same_site = \"none\"", same_site == SameSitePolicy::None),
        ] {
            if is_set && secure == Some(false) {
                table.place.report(format!(
                    "{key} and secure = false contradict each other: browsers drop such a cookie unless it is secure"
                ));
            }
        }
        let outlive_changes = table.word("after_change", false, &[("end", false), ("continue", true)]);
        table.finish();
        Self {
            keys,
            max_age,
            idle,
            revocations,
            peers,
            cookie: cookie.unwrap_or_else(|| DEFAULT_COOKIE.to_owned()),
            secure,
            domain,
            same_site,
            partitioned,
            outlive_changes,
        }
    }

    /// The settings without the section. `None` if the environment has no key either, and nobody logs in with a browser.
    pub(super) fn of_environment(place: &Place<'_>, logs_in: bool) -> Option<Self> {
        let keys = Vec::from_iter(key_of_environment(place));
        if keys.is_empty() && !logs_in {
            return None;
        }
        Some(Self {
            keys,
            idle: None,
            revocations: Self::DEFAULT_REVOCATIONS,
            peers: Vec::new(),
            max_age: Self::DEFAULT_AGE,
            cookie: DEFAULT_COOKIE.to_owned(),
            secure: None,
            domain: None,
            same_site: SameSitePolicy::Lax,
            partitioned: false,
            outlive_changes: false,
        })
    }
}

/// Browsers have special rules for names that begin with two underscores (RFC 6265bis, section 4.1.3). The prefix `__Host-`
/// is added later, if the cookie is secure.
fn cookie(item: Item<'_>) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let name = |text: &str| !text.is_empty() && text.bytes().all(allowed) && !text.starts_with("__");
    item.parse(
        "a name of letters, digits, - and _ that doesn't begin with __; the prefix __Host- is added automatically",
        |text| name(text).then(|| text.to_owned()),
    )
}

/// Reads a domain. A leading dot has no meaning (RFC 6265bis, section 5.6.3).
fn domain(item: Item<'_>) -> Option<String> {
    item.parse("a domain with a dot, such as \"example.org\"", |text| {
        let text = text.strip_prefix('.').unwrap_or(text);
        let is_address = text.parse::<std::net::IpAddr>().is_ok();
        match HostPattern::parse(text)? {
            HostPattern::Exact(name) if name.contains('.') && !is_address => Some(name),
            HostPattern::Below(_) | HostPattern::Exact(_) => None,
        }
    })
}

/// A gateway that is told of sessions that are over: a URL, or the name of an upstream.
fn peer(item: Item<'_>, upstreams: &Upstreams) -> Option<Arc<UpstreamConfig>> {
    let place = item.place.clone();
    match upstreams.find(&place, &item.text()?)? {
        Upstream::Http(config) => Some(config),
        Upstream::WhoAmI => {
            place.report("expected another gateway: its URL, or the name of an upstream");
            None
        }
    }
}

pub(super) fn listed_keys(item: Item<'_>) -> Vec<Key> {
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report("the list is empty; it needs at least one key, which `portcullis keygen` makes");
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

/// Returns the key from the environment. `None` if no variable is set, or if its value is wrong, which is reported.
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

/// The variables of which the first that is set has the key, if none is configured.
pub(super) const VARIABLES: [&str; 2] = ["PORTCULLIS_COOKIE_SECRET", "DASK_GATEWAY_COOKIE_SECRET"];
const DEFAULT_COOKIE: &str = "portcullis";
const MAX_REVOCATIONS: usize = 10_000_000;
const MAX_PEERS: usize = 32;
const MIN_AGE: Duration = Duration::from_secs(1);
/// The maximum time for which browsers keep a cookie (RFC 6265bis, section 5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);
