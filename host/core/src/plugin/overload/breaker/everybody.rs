//! What speaks for a plugin that is broken for everybody. While it seems to be, senders whose calls failed wait for a trial,
//! and all others share a few of the plugin's calls, so that one of them can show that it works. One call that succeeds
//! refutes everything.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::super::sender::Sender;
use super::Fault;
use super::Stopped;
use super::circuit::Circuit;
use super::few_of;

/// How many different senders have to be stopped before the breaker opens for all, and how many known ones have to fail before
/// it makes no difference any more that somebody is known.
const SENDERS: usize = 3;

/// The most senders that wait for a trial. Those who fail after them go on sharing the few calls.
const MAX_FAILED: usize = 256;

/// The failures since the last successful call.
#[derive(Debug)]
pub(super) struct Everybody {
    /// Senders who were stopped, and while the circuit is open, those whose calls failed. No two can be the same person.
    failed: Vec<Sender>,
    /// Those of them for whom calls used to succeed.
    known: Vec<Sender>,
    /// How many calls failed whatever the request.
    faults_of_plugin: u32,
    circuit: Circuit,
    places: Arc<Semaphore>,
}

/// How a call is admitted while the breaker is open for all.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) is_trial: bool,
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

impl Everybody {
    /// What is known of a plugin that may have this many calls at once, before the first one fails.
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            failed: Vec::new(),
            known: Vec::new(),
            faults_of_plugin: 0,
            circuit: Circuit::default(),
            places: Arc::new(Semaphore::new(few_of(concurrency))),
        }
    }

    /// Admits a call.
    pub(super) fn enter(&mut self, sender: Sender, now: Instant) -> Result<Admitted, Stopped> {
        if self.circuit.is_closed() {
            return Ok(Admitted::default());
        }
        if self.failed.iter().any(|failed| failed.may_be(&sender)) {
            let is_trial = self.circuit.enter(now).map_err(Stopped::Open)?;
            return Ok(Admitted { is_trial, _place: None });
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Ok(Admitted {
                is_trial: false,
                _place: Some(place),
            }),
            Err(_) => Err(Stopped::Few),
        }
    }

    /// Counts a call that failed. Returns whether that opens the breaker.
    pub(super) fn fail(&mut self, sender: Sender, was_known: bool, fault: Fault, threshold: u32, now: Instant) -> bool {
        if was_known {
            add(&mut self.known, sender, SENDERS);
        }
        if fault == Fault::Plugin {
            self.faults_of_plugin = self.faults_of_plugin.saturating_add(1);
        }
        if !self.circuit.is_closed() {
            add(&mut self.failed, sender, MAX_FAILED);
        }
        self.circuit.is_closed() && self.faults_of_plugin >= threshold && self.open(now)
    }

    /// Notes that a sender was stopped. Returns whether that opens the breaker.
    pub(super) fn stop(&mut self, sender: Sender, now: Instant) -> bool {
        add(&mut self.failed, sender, MAX_FAILED);
        self.circuit.is_closed() && self.failed.len() >= SENDERS && self.open(now)
    }

    /// Notes that the trial failed. Returns whether that opens the breaker again.
    pub(super) fn fail_trial(&mut self, now: Instant) -> bool {
        // It may have closed since the trial began.
        !self.circuit.is_closed() && self.circuit.fail(0, true, now).is_some()
    }

    /// Notes that the trial told nothing.
    pub(super) const fn cancel_trial(&mut self, now: Instant) {
        self.circuit.untry(now);
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.circuit.is_closed()
    }

    /// Whether calls of those for whom a call has succeeded before may be expected to succeed.
    pub(super) fn trusts_the_known(&self, threshold: u32) -> bool {
        self.known.len() < SENDERS && self.faults_of_plugin < threshold
    }

    fn open(&mut self, now: Instant) -> bool {
        self.circuit.open(now);
        true
    }
}

/// Adds a sender who can't be the same person as one of the list. Without an address, nobody can be told apart from others.
fn add(list: &mut Vec<Sender>, sender: Sender, most: usize) {
    if list.len() < most && sender.client.is_some() && !list.iter().any(|listed| listed.may_be(&sender)) {
        list.push(sender);
    }
}
