//! The servers of one upstream: load balancing, and the limit on repeated requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use metrics::Counter;

use super::bound::Owner;
use super::counters;
use super::health_check;
use super::server::Server;
use crate::config::UpstreamConfig;

/// The servers of one upstream.
pub(crate) struct UpstreamGroup {
    pub(crate) config: Arc<UpstreamConfig>,
    pub(super) retries: Counter,
    servers: Vec<Arc<Server>>,
    turn: AtomicUsize,
    requests: Arc<AtomicUsize>,
    repeated: Arc<AtomicUsize>,
}

impl UpstreamGroup {
    pub(super) fn new(config: Arc<UpstreamConfig>) -> Self {
        let servers = config
            .servers
            .iter()
            .map(|server| Arc::new(Server::new(server, &config)));
        Self {
            servers: servers.collect(),
            retries: counters::retries(&config.name),
            config,
            turn: AtomicUsize::new(0),
            requests: Arc::default(),
            repeated: Arc::default(),
        }
    }

    /// Starts the health checks, if they are configured.
    pub(super) fn start_health_checks(&self) {
        let Some(health) = &self.config.health else { return };
        for server in &self.servers {
            health_check::start(server, health.clone());
        }
    }

    /// Picks a server for a request: the one to which its owner has a connection, or the less busy one of two healthy
    /// servers.
    pub(super) fn pick(&self, owner: Option<&Owner>) -> Option<&Arc<Server>> {
        let bound = owner.and_then(|owner| self.servers.iter().find(|server| server.is_bound(owner)));
        if bound.is_some() {
            return bound;
        }
        self.choose(self.turn.fetch_add(1, Ordering::Relaxed), &[])
    }

    /// Picks a server that wasn't tried. This doesn't advance the rotation, or a server after a failing one would
    /// always be its replacement.
    pub(super) fn pick_other(&self, tried: &[Arc<Server>]) -> Option<&Arc<Server>> {
        self.choose(self.turn.load(Ordering::Relaxed), tried)
    }

    /// If no server is healthy, an unhealthy one is chosen: the gateway's view may be out of date, and the request
    /// would fail anyway.
    fn choose(&self, turn: usize, tried: &[Arc<Server>]) -> Option<&Arc<Server>> {
        let untried = |server: &&Arc<Server>| !tried.iter().any(|tried| Arc::ptr_eq(tried, server));
        let mut servers = Vec::from_iter(
            self.servers
                .iter()
                .filter(untried)
                .filter(|server| server.health.is_available()),
        );
        if servers.is_empty() {
            servers = self.servers.iter().filter(untried).collect();
        }
        let [first, second] = two_candidates(turn, servers.len())?.map(|index| servers.get(index).copied());
        let (first, second) = (first?, second?);
        Some(if second.requests() < first.requests() {
            second
        } else {
            first
        })
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
