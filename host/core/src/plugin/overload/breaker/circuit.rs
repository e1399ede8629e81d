//! The state of a circuit breaker: closed while calls succeed, open for a while after too many failures in a row, and
//! closed again after one successful trial. Each failed trial doubles the wait.

use std::time::Duration;
use std::time::Instant;

/// How long a circuit stays open at first, and at most.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait while another call is the trial.
const SOON: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    openings: u32,
    state: CircuitState,
}

#[derive(Clone, Copy, Debug, Default)]
enum CircuitState {
    #[default]
    Closed,
    Open(Instant),
    Trying,
}

impl Circuit {
    /// Admits a call, and returns whether it is the trial. The error is how long to wait.
    pub(super) fn enter(&mut self, now: Instant) -> Result<bool, Duration> {
        match self.state {
            CircuitState::Closed => Ok(false),
            CircuitState::Open(until) if now < until => Err(until - now),
            CircuitState::Open(_) => {
                self.state = CircuitState::Trying;
                Ok(true)
            }
            CircuitState::Trying => Err(SOON),
        }
    }

    /// Counts a failed call. If that opens the circuit, returns for how long.
    ///
    /// A call that began before the circuit opened doesn't count.
    pub(super) fn fail(&mut self, threshold: u32, was_try: bool, now: Instant) -> Option<Duration> {
        match self.state {
            CircuitState::Closed => {
                self.failures = self.failures.saturating_add(1);
                (self.failures >= threshold).then(|| self.open(now))
            }
            CircuitState::Trying if was_try => Some(self.open(now)),
            CircuitState::Open(_) | CircuitState::Trying => None,
        }
    }

    /// Opens the circuit, each time for longer.
    pub(super) fn open(&mut self, now: Instant) -> Duration {
        let wait = SHORTEST
            .saturating_mul(2_u32.saturating_pow(self.openings))
            .min(LONGEST);
        self.openings = self.openings.saturating_add(1);
        self.state = CircuitState::Open(now + wait);
        wait
    }

    /// Cancels a trial that was not made.
    pub(super) const fn untry(&mut self, now: Instant) {
        self.state = CircuitState::Open(now);
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, CircuitState::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_trial_doubles_the_wait() {
        let mut now = Instant::now();
        let mut circuit = Circuit::default();
        assert_eq!(circuit.fail(2, false, now), None);
        let mut waits = vec![circuit.fail(2, false, now).unwrap()];
        for _ in 0..7 {
            assert!(circuit.enter(now).is_err());
            now += LONGEST;
            assert_eq!(circuit.enter(now), Ok(true));
            assert_eq!(circuit.enter(now), Err(SOON), "one trial at a time");
            assert_eq!(circuit.fail(2, false, now), None, "an older call doesn't count");
            waits.push(circuit.fail(2, true, now).unwrap());
        }
        assert_eq!(
            waits.iter().map(Duration::as_secs).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 32, 60, 60]
        );
    }

    #[test]
    fn an_open_circuit_admits_a_trial_when_its_wait_is_over() {
        let start = Instant::now();
        let mut circuit = Circuit::default();
        assert!(circuit.is_closed());
        let wait = circuit.open(start);
        assert!(!circuit.is_closed());
        let until = start + wait;
        let moment = Duration::from_nanos(1);
        assert_eq!(circuit.enter(start), Err(wait));
        assert_eq!(circuit.enter(until - moment), Err(moment));
        assert_eq!(circuit.enter(until), Ok(true));
        assert!(!circuit.is_closed(), "before the trial has succeeded");
        circuit.untry(until);
        assert_eq!(circuit.enter(until), Ok(true), "the trial was not made");
    }

    #[test]
    fn a_closed_circuit_opens_at_the_threshold() {
        let now = Instant::now();
        for threshold in 1..4 {
            let mut circuit = Circuit::default();
            for _ in 1..threshold {
                assert_eq!(circuit.fail(threshold, false, now), None);
                assert_eq!(circuit.enter(now), Ok(false));
            }
            assert_eq!(circuit.fail(threshold, false, now), Some(SHORTEST));
            assert_eq!(circuit.enter(now), Err(SHORTEST));
        }
    }
}
