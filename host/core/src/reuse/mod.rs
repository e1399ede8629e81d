//! Decisions that are reused. A plugin's decision depends on nothing of a request but the answers to the questions that it
//! asked, and on the user whom it was told about, so that a request with the same answers gets the same decision without a call.

mod flight;
mod key;
mod moment;
mod plan;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::flight::Flights;
use self::flight::Guard;
use self::flight::Turn;
use self::key::Key;
use self::key::UserDigest;
use self::moment::Moment;
use self::plan::Plan;
use self::plan::Plans;
use crate::decision::AttributeRead;
use crate::decision::Authenticated;
use crate::decision::Ruling;
use crate::grants::Grants;
use crate::request::AuthRequest;

pub(crate) use self::store::Kept;
pub(crate) use self::store::Store;

/// The longest time for which a refusal is reused. A flood of equal requests costs the plugin one call in this time, and a
/// user who has just been given access hardly waits.
pub(crate) const MAX_REFUSAL: Duration = Duration::from_secs(1);

/// The decisions of one configured plugin.
pub(crate) struct Reuse {
    store: Arc<Store>,
    /// Tells its decisions from those of all other plugins.
    id: u64,
    /// How often they were forgotten.
    epoch: AtomicU64,
    grants: Arc<Grants>,
    longest: Duration,
    longest_wait: Duration,
    plans: Plans,
    flights: Flights,
}

/// What is known about a request before its plugin is called.
pub(crate) enum Lookup {
    /// Its decision.
    Known(Known),
    /// Nothing, so that the plugin has to be called.
    Unknown(Pending),
}

/// A decision that was made before.
pub(crate) struct Known {
    pub(crate) kept: Arc<Kept>,
    /// How long ago its call began.
    pub(crate) age: Duration,
}

impl Reuse {
    /// Keeps decisions for at most `longest`. Returns `None` if `longest` is zero. A request waits for the call of another
    /// one for at most `longest_wait`.
    pub(crate) fn new(
        store: &Arc<Store>,
        grants: &Arc<Grants>,
        longest: Duration,
        longest_wait: Duration,
    ) -> Option<Arc<Self>> {
        let kept = || {
            Arc::new(Self {
                id: store.next_id(),
                store: Arc::clone(store),
                epoch: AtomicU64::new(0),
                grants: Arc::clone(grants),
                longest,
                longest_wait,
                plans: Plans::default(),
                flights: Flights::default(),
            })
        };
        (!longest.is_zero()).then(kept)
    }

    /// Looks for a decision about an equal request, of the same user if the plugin is told who that is. If another call may be
    /// about to make it, waits for that.
    pub(crate) async fn look_up(self: &Arc<Self>, request: &AuthRequest, user: Option<&Authenticated>) -> Lookup {
        let user = user.map(|user| self.store.hasher().user(user));
        let mut pending = self.pending(user);
        if self.store.is_paused() {
            return Lookup::Unknown(pending);
        }
        let first = match self.find(request, &pending) {
            Ok(known) => return Lookup::Known(known),
            Err(first) => first,
        };
        let Some((plan, key)) = first.filter(|(plan, _)| plan.is_worth_waiting_for()) else {
            return Lookup::Unknown(pending);
        };
        match self.flights.enter(key) {
            Turn::Leads(guard) => pending.leads = Some((guard, plan)),
            Turn::Follows(end) => {
                // After a call that hangs, or that made no decision for others, this request has a call of its own.
                // Few requests wait, so the others don't carry the timer along.
                let _ = Box::pin(tokio::time::timeout(self.longest_wait, end)).await;
                pending = self.pending(user);
                if let Ok(known) = self.find(request, &pending) {
                    return Lookup::Known(known);
                }
            }
        }
        Lookup::Unknown(pending)
    }

    /// Forgets all decisions, also those of calls that run now.
    pub(crate) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn pending(self: &Arc<Self>, user: Option<UserDigest>) -> Pending {
        Pending {
            reuse: Arc::clone(self),
            epoch: self.epoch.load(Ordering::SeqCst),
            user,
            begun: Moment::now(),
            leads: None,
        }
    }

    /// Returns the decision with its age, or else the key of an equal request under the first plan. `None` without a plan.
    fn find(&self, request: &AuthRequest, pending: &Pending) -> Result<Known, Option<(Arc<Plan>, Key)>> {
        let mut first = None;
        for plan in self.plans.all().iter() {
            let key = self.key(plan, pending, request);
            if let Some(kept) = self.store.get(&key)
                && let Some(age) = kept.age(pending.begun)
            {
                return Ok(Known { kept, age });
            }
            first.get_or_insert_with(|| (Arc::clone(plan), key));
        }
        Err(first)
    }

    fn key(&self, plan: &Plan, pending: &Pending, request: &AuthRequest) -> Key {
        let about = [self.id, pending.epoch, plan.number()];
        let (user, questions) = (pending.user.as_ref(), plan.questions());
        self.store.hasher().key(about, user, questions, request, &self.grants)
    }
}

/// A call whose decision may be kept.
pub(crate) struct Pending {
    reuse: Arc<Reuse>,
    epoch: u64,
    user: Option<UserDigest>,
    /// The beginning of the call, from which the life of its decision counts.
    begun: Moment,
    /// Whether others wait for this call, under this plan.
    leads: Option<(Guard, Arc<Plan>)>,
}

impl Pending {
    /// Keeps the decision for `life`, unless something that was read for it is valid once only. `reads` is what the plugin
    /// read of the request. Returns for how long it is kept, `None` if it isn't.
    pub(crate) fn keep(
        self,
        request: &AuthRequest,
        ruling: &Ruling,
        reads: &[AttributeRead],
        life: Option<Duration>,
    ) -> Option<Duration> {
        let kept = life.and_then(|life| self.try_keep(request, ruling, reads, life));
        if let Some((guard, plan)) = self.leads {
            plan.set_worth_waiting_for(kept.is_some());
            drop(guard);
        }
        kept
    }

    fn try_keep(
        &self,
        request: &AuthRequest,
        ruling: &Ruling,
        reads: &[AttributeRead],
        life: Duration,
    ) -> Option<Duration> {
        let reuse = &self.reuse;
        if !reads.iter().all(|read| read.attribute.is_repeatable()) {
            return None;
        }
        let plan = reuse.plans.of(reads, ruling)?;
        let key = reuse.key(&plan, self, request);
        let life = life.min(reuse.longest);
        reuse
            .store
            .insert(key, Kept::new(ruling.clone(), reads, self.begun, life));
        Some(life)
    }
}
