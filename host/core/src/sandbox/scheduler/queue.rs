//! The permits, the calls that wait for one, and who is next: the authenticator that has used the processors least, and
//! of its calls the oldest.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;

/// How far one authenticator may be ahead of another before its running call has to stop for it.
const QUANTUM: Duration = Duration::from_millis(20);

/// Which share of the processors.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ShareId(u64);

/// The order of the calls of one authenticator: those that compute unusually long come last, and older ones first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Turn {
    unusually_long: bool,
    begun: Instant,
}

impl Turn {
    pub(super) const fn new(unusually_long: bool, begun: Instant) -> Self {
        Self { unusually_long, begun }
    }
}

/// The permits and those who wait for them.
#[derive(Debug)]
pub(super) struct Queue {
    permits: usize,
    free: usize,
    next: u64,
    shares: HashMap<ShareId, ShareState>,
}

#[derive(Debug, Default)]
struct ShareState {
    /// How long its calls have held permits. A share that was idle starts level with the others.
    used: Duration,
    holding: usize,
    waiting: BTreeMap<(Turn, u64), oneshot::Sender<Held>>,
    /// What its admitted calls are expected to compute.
    backlog: Duration,
}

impl ShareState {
    fn is_active(&self) -> bool {
        self.holding > 0 || !self.waiting.is_empty()
    }
}

impl Queue {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            permits,
            free: permits,
            next: 0,
            shares: HashMap::new(),
        }
    }

    pub(super) fn add_share(&mut self) -> ShareId {
        let id = ShareId(self.number());
        self.shares.insert(id, ShareState::default());
        id
    }

    pub(super) fn remove_share(&mut self, id: ShareId) {
        self.shares.remove(&id);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// By how much a call would exceed its time, if it computes for `cost` after the calls before it. A quarter of the
    /// time until the deadline is kept for calls that compute longer than usual. `None` if it wouldn't, or if its
    /// authenticator has no other call: each may always have one.
    pub(super) fn lateness(&self, id: ShareId, cost: Duration, deadline: Duration) -> Option<Duration> {
        let own = self.shares.get(&id)?.backlog;
        if own.is_zero() {
            return None;
        }
        let backlogs = || {
            self.shares
                .values()
                .map(|share| share.backlog)
                .filter(|load| !load.is_zero())
        };
        let (all, sharers) = (backlogs().sum::<Duration>(), count(backlogs().count()));
        // Others get their share at most, and no more than they need.
        let ahead = all.min(own.saturating_mul(sharers)) / count(self.permits);
        let late = (ahead + cost).saturating_sub(deadline / 4 * 3);
        (!late.is_zero()).then_some(late)
    }

    /// Adds the computing that an admitted call is expected to need.
    pub(super) fn expect(&mut self, id: ShareId, cost: Duration) {
        if let Some(share) = self.shares.get_mut(&id) {
            share.backlog += cost;
        }
    }

    /// Takes away what [`Self::expect`] added.
    pub(super) fn settle(&mut self, id: ShareId, cost: Duration) {
        if let Some(share) = self.shares.get_mut(&id) {
            share.backlog = share.backlog.saturating_sub(cost);
        }
    }

    /// Whether a call that holds a permit has to pass it on: to an older call of its authenticator, or to another
    /// authenticator that has used less.
    pub(super) fn another_is_due(&self, id: ShareId, turn: Turn, held: &Held) -> bool {
        let own = self.shares.get(&id);
        let used = own.map_or(Duration::ZERO, |own| own.used) + held.since.elapsed();
        self.shares
            .iter()
            .any(|(other, share)| match share.waiting.first_key_value() {
                Some(((first, _), _)) if *other == id => *first < turn,
                Some(_) => share.used + QUANTUM < used,
                None => false,
            })
    }

    /// Levels a share that was idle with the others, so that it can't save up.
    fn activate(&mut self, id: ShareId) {
        let active = self.shares.values().filter(|share| share.is_active());
        let least = active.map(|share| share.used).min().unwrap_or_default();
        if let Some(share) = self.shares.get_mut(&id).filter(|share| !share.is_active()) {
            share.used = share.used.max(least);
        }
    }

    /// Counts time that a share has used.
    #[cfg(test)]
    pub(super) fn charge(&mut self, id: ShareId, used: Duration) {
        if let Some(share) = self.shares.get_mut(&id) {
            share.used += used;
        }
    }

    /// The share that is next.
    fn next_share(&self) -> Option<ShareId> {
        let waiting = self.shares.iter().filter(|(_, share)| !share.waiting.is_empty());
        waiting.min_by_key(|(id, share)| (share.used, **id)).map(|(id, _)| *id)
    }

    /// Takes a permit back, and gives it to the next call that waits.
    fn release(&mut self, queue: &Arc<Mutex<Self>>, id: ShareId, used: Duration) {
        if let Some(share) = self.shares.get_mut(&id) {
            share.used += used;
            share.holding = share.holding.saturating_sub(1);
        }
        while let Some(next) = self.next_share() {
            let Some(share) = self.shares.get_mut(&next) else { break };
            let Some((_, waiting)) = share.waiting.pop_first() else {
                break;
            };
            match waiting.send(Held::new(queue, next)) {
                Ok(()) => {
                    share.holding += 1;
                    return;
                }
                // It has stopped waiting. The permit is still held here.
                Err(held) => held.forget(),
            }
        }
        self.free += 1;
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX).max(1)
}

/// A permit. When this is dropped, the next call that waits gets it.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` if the permit was never used.
    queue: Option<Arc<Mutex<Queue>>>,
    share: ShareId,
    since: Instant,
}

impl Held {
    fn new(queue: &Arc<Mutex<Queue>>, share: ShareId) -> Self {
        Self {
            queue: Some(Arc::clone(queue)),
            share,
            since: Instant::now(),
        }
    }

    /// Drops this while the queue is locked.
    fn forget(mut self) {
        self.queue = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            lock(&queue).release(&queue, self.share, self.since.elapsed());
        }
    }
}

/// Waits for a permit.
pub(super) async fn acquire(queue: &Arc<Mutex<Queue>>, share: ShareId, turn: Turn) -> Held {
    let (waiting, place) = {
        let mut locked = lock(queue);
        locked.activate(share);
        if locked.free > 0 {
            locked.free -= 1;
            if let Some(share) = locked.shares.get_mut(&share) {
                share.holding += 1;
            }
            return Held::new(queue, share);
        }
        let key = (turn, locked.number());
        let (sender, waiting) = oneshot::channel();
        if let Some(share) = locked.shares.get_mut(&share) {
            share.waiting.insert(key, sender);
        }
        let queue = Arc::clone(queue);
        (waiting, Place { queue, share, key })
    };
    let held = waiting.await;
    drop(place);
    match held {
        Ok(held) => held,
        // The share is gone, and its calls with it.
        Err(_) => std::future::pending().await,
    }
}

/// A place in the queue. It is given up when this is dropped.
struct Place {
    queue: Arc<Mutex<Queue>>,
    share: ShareId,
    key: (Turn, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        let sender = lock(&self.queue)
            .shares
            .get_mut(&self.share)
            .and_then(|share| share.waiting.remove(&self.key));
        drop(sender);
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
