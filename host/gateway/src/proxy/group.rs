//! The servers of one upstream: load balancing, and the limit on repeated requests.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use http::uri::Authority;
use metrics::Counter;

use super::addresses;
use super::addresses::Addresses;
use super::bound::Owner;
use super::counters;
use super::health_check;
use super::server::Server;
use crate::config::Address;
use crate::config::UpstreamConfig;
use crate::config::UpstreamServerConfig as ServerConfig;

/// The servers of one upstream.
pub(crate) struct UpstreamGroup {
    pub(crate) config: Arc<UpstreamConfig>,
    pub(super) retries: Counter,
    servers: ArcSwap<Servers>,
    turn: AtomicUsize,
    requests: Arc<AtomicUsize>,
    repeated: Arc<AtomicUsize>,
}

/// The servers in the order of the configuration. A name has one for each of its addresses.
type Servers = Vec<Vec<Arc<Server>>>;

impl UpstreamGroup {
    pub(super) fn new(config: Arc<UpstreamConfig>) -> Self {
        let servers = config
            .servers
            .iter()
            .map(|server| vec![Arc::new(Server::new(server, None, &config))]);
        Self {
            servers: ArcSwap::from_pointee(servers.collect()),
            retries: counters::retries(&config.name),
            config,
            turn: AtomicUsize::new(0),
            requests: Arc::default(),
            repeated: Arc::default(),
        }
    }

    /// Starts the tasks of the upstream, which end with it: the configured health checks, and lookups of names.
    pub(super) fn start(self: &Arc<Self>) {
        for server in self.servers.load().iter().flatten() {
            self.start_health_check(server);
        }
        if self.config.servers.iter().any(|server| name_of(server).is_some()) {
            let group = Arc::downgrade(self);
            tokio::spawn(async move {
                while let Some(group) = Weak::upgrade(&group) {
                    group.look_up_names().await;
                    let interval = group.config.resolve_interval;
                    drop(group);
                    tokio::time::sleep(interval).await;
                }
            });
        }
    }

    fn start_health_check(&self, server: &Arc<Server>) {
        if let Some(health) = &self.config.health {
            health_check::start(server, health.clone());
        }
    }

    /// Replaces the servers behind names by those that the names stand for now. A server whose addresses are the same
    /// keeps its connections and its health; a name that can't be looked up keeps its servers.
    async fn look_up_names(&self) {
        let default_port = if self.config.tls.is_some() { 443 } else { 80 };
        let current = self.servers.load_full();
        let lookups = self.config.servers.iter().zip(current.iter()).map(|(config, servers)| async move {
            let Some(name) = name_of(config) else {
                return servers.clone();
            };
            match addresses::lookup(name, default_port).await {
                Ok(found) if !found.is_empty() => self.servers_at(config, found, servers),
                outcome => {
                    let why = outcome.map_or_else(|error| error.to_string(), |_| "it has no address".to_owned());
                    tracing::warn!(upstream = self.config.name, server = %config.address, why, "a name can't be looked up");
                    servers.clone()
                }
            }
        });
        let servers = futures_util::future::join_all(lookups).await;
        let has_siblings = servers.iter().flatten().nth(1).is_some();
        for server in servers.iter().flatten() {
            server.health.set_siblings(has_siblings);
        }
        self.servers.store(Arc::new(servers));
    }

    fn servers_at(&self, config: &ServerConfig, found: Vec<Addresses>, known: &[Arc<Server>]) -> Vec<Arc<Server>> {
        let server_at = |addresses: Addresses| {
            let same = |server: &&Arc<Server>| server.addresses.as_ref() == Some(&addresses);
            if let Some(server) = known.iter().find(same) {
                return Arc::clone(server);
            }
            let server = Arc::new(Server::new(config, Some(addresses), &self.config));
            self.start_health_check(&server);
            tracing::debug!(upstream = self.config.name, server = server.name, "a server is used");
            server
        };
        found.into_iter().map(server_at).collect()
    }

    /// Picks a server for a request: the one to which its owner has a connection, or the less busy one of two healthy
    /// servers.
    pub(super) fn pick(&self, owner: Option<&Owner>) -> Option<Arc<Server>> {
        if let Some(owner) = owner.filter(|owner| !owner.is_empty()) {
            let servers = self.servers.load();
            if let Some(bound) = servers.iter().flatten().find(|server| server.is_bound(owner)) {
                return Some(Arc::clone(bound));
            }
        }
        self.choose(self.turn.fetch_add(1, Ordering::Relaxed), &[])
    }

    /// Picks a server that wasn't tried. This doesn't advance the rotation, or a server after a failing one would
    /// always be its replacement.
    pub(super) fn pick_other(&self, tried: &[Arc<Server>]) -> Option<Arc<Server>> {
        self.choose(self.turn.load(Ordering::Relaxed), tried)
    }

    /// If no server is healthy, an unhealthy one is chosen: the gateway's view may be out of date, and the request
    /// would fail anyway.
    fn choose(&self, turn: usize, tried: &[Arc<Server>]) -> Option<Arc<Server>> {
        let untried = |server: &&Arc<Server>| !tried.iter().any(|tried| Arc::ptr_eq(tried, server));
        let all = self.servers.load();
        let mut servers = Vec::from_iter(
            all.iter()
                .flatten()
                .filter(untried)
                .filter(|server| server.health.is_available()),
        );
        if servers.is_empty() {
            servers = all.iter().flatten().filter(untried).collect();
        }
        let [first, second] = two_candidates(turn, servers.len())?.map(|index| servers.get(index).copied());
        let (first, second) = (first?, second?);
        Some(Arc::clone(if second.requests() < first.requests() {
            second
        } else {
            first
        }))
    }

    /// Counts a client's request while it waits for its response.
    pub(super) fn count_request(&self) -> CountGuard {
        CountGuard::new(&self.requests)
    }

    /// A permit to repeat a request that a server may have processed. `None` if a fifth of all requests are being
    /// repeated, since more requests would make an overload worse.
    pub(super) fn try_repeat(&self) -> Option<CountGuard> {
        let most = (self.requests.load(Ordering::Relaxed) / 5).max(MIN_REPEATED);
        let counted = CountGuard::new(&self.repeated);
        (self.repeated.load(Ordering::Relaxed) <= most).then_some(counted)
    }
}

impl fmt::Debug for UpstreamGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpstreamGroup").field(&self.config.name).finish()
    }
}

/// The name of a server. `None` if its address is an IP address or a Unix socket.
fn name_of(server: &ServerConfig) -> Option<&Authority> {
    match &server.address {
        Address::Tcp(authority) => {
            let host = authority.host();
            let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
            (!is_address).then_some(authority)
        }
        Address::Unix(_) => None,
    }
}

/// Two of `count` indices: the next one in rotation, and any other one. Both are the same if there is only one.
fn two_candidates(turn: usize, count: usize) -> Option<[usize; 2]> {
    let first = turn.checked_rem(count)?;
    let others = count - 1;
    // Fibonacci hashing spreads consecutive numbers evenly (D. Knuth, The Art of Computer Programming, section 6.4).
    let spread = (turn as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    let ahead = usize::try_from(spread)
        .ok()?
        .checked_rem(others)
        .map_or(0, |other| other + 1);
    Some([first, (first + ahead) % count])
}

/// How many requests may always be repeated at once.
const MIN_REPEATED: usize = 10;

/// Decrements a counter on drop.
pub(super) struct CountGuard(Arc<AtomicUsize>);

impl CountGuard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_servers_is_considered_equally_often() {
        assert_eq!(two_candidates(7, 0), None);
        assert_eq!(two_candidates(7, 1), Some([0, 0]));
        let mut pairs = [[0; 5]; 5];
        for turn in 0..1000 {
            let [first, second] = two_candidates(turn, 5).unwrap();
            pairs[first][second] += 1;
        }
        for (first, row) in pairs.iter().enumerate() {
            for (second, count) in row.iter().enumerate() {
                let expected = if first == second { 0..1 } else { 20..100 };
                assert!(expected.contains(count), "{pairs:?}");
            }
        }
    }
}
