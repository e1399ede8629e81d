//! An instance that is kept for another request. Its memory is what it was, and everything else begins anew: the deadline, the
//! processor time, the log, and how many requests to other servers and tokens it may send.

use wasmtime_wasi::p2::DynPollable;

use super::HostState;
use super::clock::Clock;
use super::config::InstanceConfig;
use super::instance::Instance;
use super::negotiate::MAX_TOKENS;
use super::scheduler::ComputePermit;
use super::signing::MAX_SIGNATURES;
use super::stdio::Lines;
use crate::egress::CallEgress;
use crate::shared::Patience;

/// Why an instance can't serve another request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unfit {
    /// It keeps handles of the host, such as the body of a response, other than those of its stdout and stderr.
    Handles,
    /// It was refused memory, or has used half of what it could still get when it was new.
    Memory,
}

impl Instance {
    /// Ends a call whose answer is there. Returns an error if the instance can't serve another request.
    pub(crate) fn end_call(&mut self) -> Result<(), Unfit> {
        let initial = self.initial_memory;
        let state = self.store.data_mut();
        // Other calls can compute meanwhile.
        state.permit.pause();
        // Nothing of a request may appear in the log of the next one.
        state.stdio().for_each(Lines::end_line);
        let limiter = &state.limiter;
        let may_grow = initial.saturating_add(limiter.taken()).saturating_add(limiter.left()) / 2;
        if limiter.was_refused() || limiter.taken() > may_grow {
            return Err(Unfit::Memory);
        }
        if state.has_handles() {
            return Err(Unfit::Handles);
        }
        Ok(())
    }

    /// Makes it ready for another request. The deadline starts now.
    pub(crate) fn renew(&mut self, config: &InstanceConfig) {
        let clock = Clock::start(config.limits.deadline);
        clock.watch(&mut self.store);
        let state = self.store.data_mut();
        state.clock = clock;
        state.permit = ComputePermit::start(&config.processors, clock.deadline());
        state.log.renew();
        state.outbound = CallEgress::new(config.egress.clone(), state.log.clone());
        state.patience = Patience::default();
        state.tokens_left = MAX_TOKENS;
        state.signatures_left = MAX_SIGNATURES;
    }

    /// How many bytes of memory it has.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().limiter.taken()
    }
}

impl HostState {
    /// The plugin's stdout and stderr, if it has used them.
    fn stdio(&self) -> impl Iterator<Item = &Lines> {
        self.wasi.iter().flat_map(|wasi| &wasi.stdio)
    }

    /// Whether the plugin has handles other than those of its stdout and stderr, which belong to no request. A pollable doesn't
    /// count, because what it waits for does: it can't be dropped before its pollable.
    fn has_handles(&mut self) -> bool {
        let streams: usize = self.stdio().map(Lines::handles).sum();
        let entries = self.table.iter_mut();
        entries.filter(|entry| !entry.is::<DynPollable>()).count() > streams
    }
}
