//! The servers of one upstream: which of them gets a request, and how many requests may be sent twice at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use metrics::Counter;

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

    /// Looks after the servers from now on, if that is configured.
    pub(super) fn start_health_checks(&self) {
        let Some(health) = &self.config.health else { return };
        for server in &self.servers {
            health_check::start(server, health.clone());
        }
    }

    /// A server for a request: of two healthy ones, the one with fewer requests.
    pub(super) fn pick(&self) -> Option<&Arc<Server>> {
        self.choose(self.turn.fetch_add(1, Ordering::Relaxed), &[])
    }

    /// One that wasn't tried. It takes no turn: else a server that fails would always be the next one's first.
    pub(super) fn pick_other(&self, tried: &[Arc<Server>]) -> Option<&Arc<Server>> {
        self.choose(self.turn.load(Ordering::Relaxed), tried)
    }

    /// When none is healthy, one that isn't: what is known of them may be wrong, and if it is right the request fails all
    /// the same.
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

    /// Counts a request of a client, for as long as it waits for its response.
    pub(super) fn count_request(&self) -> CountGuard {
        CountGuard::new(&self.requests)
    }

    /// Leave to send a request that a server may have acted on to another one. None when more than a fifth of all are
    /// sent twice already: then the servers need less to do and not more.
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

/// Two of `count` places: one after the other by turns, and any other one. The same twice where there is only one.
fn two_candidates(turn: usize, count: usize) -> Option<[usize; 2]> {
    let first = turn.checked_rem(count)?;
    let others = count - 1;
    // Spreads consecutive numbers evenly (D. Knuth, The Art of Computer Programming, section 6.4).
    let spread = (turn as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    let ahead = usize::try_from(spread)
        .ok()?
        .checked_rem(others)
        .map_or(0, |other| other + 1);
    Some([first, (first + ahead) % count])
}

/// How many may always be.
const MIN_REPEATED: usize = 10;

/// One of a number that goes down again when it is dropped.
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
    fn everybody_has_a_turn_beside_everybody_else() {
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
