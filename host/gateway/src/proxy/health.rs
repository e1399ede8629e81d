//! Whether a server is healthy: as far as its requests show, and as far as checks do.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;

use super::counters;
use crate::config::HealthConfig;
use crate::config::UpstreamConfig;

/// What is known of one server's health.
pub(super) struct Health {
    upstream: String,
    server: String,
    gauge: Gauge,
    /// None: it is the only server, and nobody is helped by leaving it alone.
    passive: Option<Passive>,
    active: Option<HealthConfig>,
    state: Mutex<HealthState>,
}

/// When a server is left alone because of its requests.
struct Passive {
    max_fails: usize,
    fail_timeout: Duration,
}

#[derive(Default)]
struct HealthState {
    /// Requests that failed in a row.
    fails: usize,
    /// It is left alone until then, and under suspicion until a request goes well.
    ejected_until: Option<Instant>,
    /// How often in a row.
    ejections: u32,
    /// Checks say that it is down.
    is_down: bool,
    /// Checks in a row that said otherwise.
    contradicting: usize,
}

impl Health {
    pub(super) fn new(upstream: &UpstreamConfig, server: &str) -> Self {
        Self {
            upstream: upstream.name.clone(),
            server: server.to_owned(),
            gauge: counters::healthy(&upstream.name, server),
            passive: (upstream.servers.len() > 1).then_some(Passive {
                max_fails: upstream.max_fails,
                fail_timeout: upstream.fail_timeout,
            }),
            active: upstream.health.clone(),
            state: Mutex::default(),
        }
    }

    /// Whether it should get requests. One whose time alone is over gets them again, and is left alone anew at the first
    /// that fails.
    pub(super) fn is_available(&self) -> bool {
        let state = self.state();
        !state.is_down && state.ejected_until.is_none_or(|until| until <= Instant::now())
    }

    /// A request went well.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.fails = 0;
        if state.ejected_until.take().is_some() {
            state.ejections = 0;
            self.update_gauge(&state);
            tracing::info!(upstream = self.upstream, server = self.server, "a server answers again");
        }
    }

    /// A request failed, and the server is to blame.
    pub(super) fn failed(&self) {
        let Some(passive) = &self.passive else { return };
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
        self.update_gauge(&state);
        tracing::warn!(
            upstream = self.upstream,
            server = self.server,
            fails = state.fails,
            "for" = ?period,
            "a server fails and is left alone"
        );
    }

    /// A check was made. The text says why it failed.
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
            // What its requests said before is out of date.
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
        self.update_gauge(&state);
    }

    fn update_gauge(&self, state: &HealthState) {
        let healthy = !state.is_down && state.ejected_until.is_none();
        self.gauge.set(if healthy { 1.0 } else { 0.0 });
    }

    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longest time that a server is left alone, unless more was configured.
const MAX_EJECTION: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn health(passive: bool) -> Health {
        Health {
            upstream: "u".to_owned(),
            server: "s".to_owned(),
            gauge: Gauge::noop(),
            passive: passive.then_some(Passive {
                max_fails: 2,
                fail_timeout: PERIOD,
            }),
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
    async fn a_server_is_left_alone_longer_each_time_until_it_answers() {
        let health = health(true);
        health.failed();
        health.succeeded();
        health.failed();
        assert!(health.is_available(), "not two in a row");
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
    async fn an_only_server_is_never_left_alone() {
        let health = health(false);
        for _ in 0..100 {
            health.failed();
        }
        assert!(health.is_available());
    }

    #[tokio::test]
    async fn checks_decide_when_enough_of_them_agree() {
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
