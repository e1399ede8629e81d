//! The health of a server, as shown by its requests (passively) and by health checks (actively).

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;

use super::counters;
use crate::config::HealthConfig;
use crate::config::UpstreamConfig;

/// The health of one server.
pub(super) struct Health {
    upstream: String,
    server: String,
    gauge: Gauge,
    passive: Passive,
    /// Whether the upstream has other servers. Ejecting the only one wouldn't help.
    has_siblings: AtomicBool,
    active: Option<HealthConfig>,
    state: Mutex<HealthState>,
}

/// When a server is ejected because its requests fail.
struct Passive {
    max_fails: usize,
    fail_timeout: Duration,
}

#[derive(Default)]
struct HealthState {
    /// How many requests failed in a row.
    fails: usize,
    /// Until when the server gets no requests. It stays set after that until a request succeeds.
    ejected_until: Option<Instant>,
    /// How often the server was ejected without a success in between.
    ejections: u32,
    /// Whether the server is down according to the checks.
    is_down: bool,
    /// How many checks in a row contradict `is_down`.
    contradicting: usize,
    /// Whether the gauge counts the server as unhealthy.
    is_counted_out: bool,
}

impl Health {
    /// `label` is the server in the metric, and `server` its name in the log.
    pub(super) fn new(upstream: &UpstreamConfig, label: &str, server: &str) -> Self {
        let gauge = counters::healthy(&upstream.name, label);
        gauge.increment(1.0);
        Self {
            upstream: upstream.name.clone(),
            server: server.to_owned(),
            gauge,
            passive: Passive {
                max_fails: upstream.max_fails,
                fail_timeout: upstream.fail_timeout,
            },
            has_siblings: AtomicBool::new(upstream.servers.len() > 1),
            active: upstream.health.clone(),
            state: Mutex::default(),
        }
    }

    /// Sets whether the upstream has other servers.
    pub(super) fn set_siblings(&self, has_siblings: bool) {
        self.has_siblings.store(has_siblings, Ordering::Relaxed);
    }

    /// Whether the server should get requests. A server gets them again after its ejection, but the first failure
    /// ejects it again.
    pub(super) fn is_available(&self) -> bool {
        let state = self.state();
        !state.is_down && state.ejected_until.is_none_or(|until| until <= Instant::now())
    }

    /// Records a request that succeeded.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.fails = 0;
        if state.ejected_until.take().is_some() {
            state.ejections = 0;
            self.update_gauge(&mut state);
            tracing::info!(upstream = self.upstream, server = self.server, "a server answers again");
        }
    }

    /// Records a request that failed by the fault of the server.
    pub(super) fn failed(&self) {
        if !self.has_siblings.load(Ordering::Relaxed) {
            return;
        }
        let passive = &self.passive;
        let now = Instant::now();
        let mut state = self.state();
        state.fails = state.fails.saturating_add(1);
        let is_ejected = state.ejected_until.is_some_and(|until| until > now);
        if state.fails < passive.max_fails || is_ejected {
            return;
        }
        let longest = MAX_EJECTION.max(passive.fail_timeout);
        let period = passive
            .fail_timeout
            .saturating_mul(1 << state.ejections.min(16))
            .min(longest);
        state.ejected_until = Some(now + period);
        state.ejections = state.ejections.saturating_add(1);
        self.update_gauge(&mut state);
        tracing::warn!(
            upstream = self.upstream,
            server = self.server,
            fails = state.fails,
            "for" = ?period,
            "a server fails and gets no requests for a while"
        );
    }

    /// Records the outcome of a check. The error says why it failed.
    pub(super) fn checked(&self, outcome: Result<(), String>) {
        let Some(active) = &self.active else { return };
        let mut state = self.state();
        if outcome.is_ok() != state.is_down {
            state.contradicting = 0;
            return;
        }
        state.contradicting += 1;
        let enough = if state.is_down {
            active.healthy
        } else {
            active.unhealthy
        };
        if state.contradicting < enough {
            return;
        }
        state.contradicting = 0;
        state.is_down = outcome.is_err();
        match outcome {
            // The failures of earlier requests are out of date.
            Ok(()) => {
                (state.fails, state.ejected_until, state.ejections) = (0, None, 0);
                tracing::info!(
                    upstream = self.upstream,
                    server = self.server,
                    "a server is healthy again"
                );
            }
            Err(why) => {
                tracing::warn!(upstream = self.upstream, server = self.server, %why, "a server is not healthy");
            }
        }
        self.update_gauge(&mut state);
    }

    fn update_gauge(&self, state: &mut HealthState) {
        let is_unhealthy = state.is_unhealthy();
        match (state.is_counted_out, is_unhealthy) {
            (false, true) => self.gauge.decrement(1.0),
            (true, false) => self.gauge.increment(1.0),
            _ => {}
        }
        state.is_counted_out = is_unhealthy;
    }

    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HealthState {
    fn is_unhealthy(&self) -> bool {
        self.is_down || self.ejected_until.is_some()
    }
}

/// Several addresses of one name share a gauge.
impl Drop for Health {
    fn drop(&mut self) {
        if !self.state().is_counted_out {
            self.gauge.decrement(1.0);
        }
    }
}

/// The longest ejection, unless `fail_timeout` is longer.
const MAX_EJECTION: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn health(has_siblings: bool) -> Health {
        Health {
            upstream: "u".to_owned(),
            server: "s".to_owned(),
            gauge: Gauge::noop(),
            passive: Passive {
                max_fails: 2,
                fail_timeout: PERIOD,
            },
            has_siblings: AtomicBool::new(has_siblings),
            active: Some(HealthConfig {
                path: PathAndQuery::from_static("/"),
                interval: PERIOD,
                timeout: PERIOD,
                healthy: 2,
                unhealthy: 3,
            }),
            state: Mutex::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_ejection_of_a_failing_server_is_longer_until_a_request_succeeds() {
        let health = health(true);
        health.failed();
        health.succeeded();
        health.failed();
        assert!(health.is_available(), "the failures are not in a row");
        for factor in [1, 2, 4, 8, 16, 30, 30] {
            health.failed();
            let period = PERIOD * factor - Duration::from_millis(1);
            health.failed();
            tokio::time::advance(period).await;
            assert!(!health.is_available(), "{factor}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(health.is_available(), "{factor}");
        }
        health.succeeded();
        health.failed();
        assert!(health.is_available());
        health.failed();
        tokio::time::advance(PERIOD).await;
        assert!(health.is_available());
    }

    #[tokio::test]
    async fn the_only_server_is_never_ejected() {
        let health = health(false);
        for _ in 0..100 {
            health.failed();
        }
        assert!(health.is_available());
    }

    #[tokio::test]
    async fn enough_checks_in_a_row_change_the_health() {
        let health = health(true);
        let failed = || Err("no".to_owned());
        for (outcome, available) in [
            (failed(), true),
            (failed(), true),
            (Ok(()), true),
            (failed(), true),
            (failed(), true),
            (failed(), false),
            (Ok(()), false),
            (failed(), false),
            (Ok(()), false),
            (Ok(()), true),
        ] {
            health.checked(outcome);
            assert_eq!(health.is_available(), available);
        }
    }
}
