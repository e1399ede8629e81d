//! Instances that are kept after a call, for later calls of the same authenticator. The latest one is used first, so that what
//! isn't needed any more grows old and is dropped.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::meters::CountedInstance;
use super::meters::Dropped;
use super::meters::KeptMeters;
use crate::limits::KeepInstances;
use crate::role::PluginName;
use crate::sandbox::Budget;
use crate::sandbox::Instance;
use crate::sandbox::InstanceConfig;
use crate::sandbox::Share;
use crate::sandbox::Unfit;

/// The instances that one authenticator keeps. They are dropped with it.
pub(super) struct Kept {
    name: PluginName,
    rules: KeepInstances,
    /// For the instances that all authenticators keep together.
    places: Arc<Semaphore>,
    memory: Arc<Budget>,
    meters: KeptMeters,
    idle: Mutex<Idle>,
    /// Whether the log says that the plugin can't be kept because of its handles.
    told: AtomicBool,
}

#[derive(Default)]
struct Idle {
    /// From the one that is idle for the longest time to the latest.
    instances: Vec<IdleInstance>,
    /// How often all were forgotten. An instance that was in use meanwhile isn't kept.
    era: u64,
    is_retired: bool,
    /// Whether a task drops the instances that are too old.
    is_swept: bool,
}

struct IdleInstance {
    lease: Lease,
    _place: OwnedSemaphorePermit,
    _memory: Share,
    _count: CountedInstance,
}

/// A configured instance for one call, and its past.
pub(super) struct Lease {
    pub(super) instance: Instance,
    /// How many requests it has served before.
    pub(super) served: u32,
    started: Instant,
    era: u64,
}

impl Kept {
    pub(super) fn new(name: PluginName, rules: KeepInstances, places: &Arc<Semaphore>, memory: &Arc<Budget>) -> Self {
        Self {
            meters: KeptMeters::new(&name),
            name,
            rules,
            places: Arc::clone(places),
            memory: Arc::clone(memory),
            idle: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// What is kept.
    pub(super) const fn rules(&self) -> &KeepInstances {
        &self.rules
    }

    /// Remembers when an instance was new.
    pub(super) fn lease(&self, instance: Instance, started: Instant, era: u64) -> Lease {
        Lease {
            instance,
            served: 0,
            started,
            era,
        }
    }

    /// The era in which an instance begins that is started now.
    pub(super) fn era(&self) -> u64 {
        self.idle().era
    }

    /// Takes an instance for another call, whose deadline starts now. `None` if no instance is idle.
    pub(super) fn take(&self, config: &InstanceConfig) -> Option<Lease> {
        let (mut lease, _too_old) = {
            let mut idle = self.idle();
            let too_old = self.take_old(&mut idle);
            (idle.instances.pop()?.lease, too_old)
        };
        self.meters.reused();
        lease.instance.renew(config);
        Some(lease)
    }

    /// Keeps an instance after its call, or drops it. `answered` says whether the plugin gave an answer that can be used.
    pub(super) fn put(self: &Arc<Self>, lease: Lease, answered: bool) {
        if let Err(why) = self.keep(lease, answered) {
            self.meters.dropped(why);
            if why == Dropped::Handles && !self.told.swap(true, Ordering::Relaxed) {
                tracing::info!(
                    authenticator = self.name.authenticator(),
                    authorizer = self.name.authorizer(),
                    "an instance isn't kept, because it keeps a handle, such as that of a response's body or of a stream"
                );
            }
        }
    }

    fn keep(self: &Arc<Self>, mut lease: Lease, answered: bool) -> Result<(), Dropped> {
        if !answered {
            return Err(Dropped::Failed);
        }
        lease.instance.end_call().map_err(|why| match why {
            Unfit::Handles => Dropped::Handles,
            Unfit::Memory => Dropped::Memory,
        })?;
        lease.served = lease.served.saturating_add(1);
        if lease.served >= self.rules.requests {
            return Err(Dropped::Requests);
        }
        if lease.started.elapsed() >= self.rules.age {
            return Err(Dropped::Age);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Dropped::Engine)?;
        let mut memory = Share::of(Arc::clone(&self.memory));
        if !memory.take(lease.instance.memory()) {
            return Err(Dropped::Engine);
        }
        let mut idle = self.idle();
        if idle.is_retired || idle.era != lease.era {
            return Err(Dropped::Replaced);
        }
        if idle.instances.len() >= self.rules.keep {
            return Err(Dropped::Surplus);
        }
        idle.instances.push(IdleInstance {
            lease,
            _place: place,
            _memory: memory,
            _count: self.meters.count(),
        });
        let is_swept = std::mem::replace(&mut idle.is_swept, true);
        drop(idle);
        // Without a runtime nothing waits; too old ones are then dropped by the next call.
        if let (false, Ok(runtime)) = (is_swept, tokio::runtime::Handle::try_current()) {
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
        Ok(())
    }

    /// Drops all idle instances, and those in use when their calls end.
    pub(super) fn forget(&self) {
        self.drop_all(false);
    }

    /// The same, and no instance is kept from now on.
    pub(super) fn retire(&self) {
        self.drop_all(true);
    }

    fn drop_all(&self, for_ever: bool) {
        let mut idle = self.idle();
        idle.era += 1;
        idle.is_retired |= for_ever;
        let instances = std::mem::take(&mut idle.instances);
        drop(idle);
        for _ in instances {
            self.meters.dropped(Dropped::Replaced);
        }
    }

    /// Takes out the instances that are too old. The caller drops them when it has released the lock.
    fn take_old(&self, idle: &mut Idle) -> Vec<IdleInstance> {
        let age = self.rules.age;
        let is_old = |idle: &mut IdleInstance| idle.lease.started.elapsed() >= age;
        let old = Vec::from_iter(idle.instances.extract_if(.., is_old));
        old.iter().for_each(|_| self.meters.dropped(Dropped::Age));
        old
    }

    /// Drops the instances that are too old, and says when the next one will be. `None` if none is left.
    fn sweep(&self) -> Option<Instant> {
        let mut idle = self.idle();
        let _old = self.take_old(&mut idle);
        let next = idle
            .instances
            .iter()
            .map(|idle| idle.lease.started + self.rules.age)
            .min();
        idle.is_swept = next.is_some();
        drop(idle);
        next
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops instances when they are too old, as long as there are any.
async fn sweep(kept: Weak<Kept>) {
    while let Some(next) = kept.upgrade().and_then(|kept| kept.sweep()) {
        tokio::time::sleep_until(next.into()).await;
    }
}
