//! Sessions that are over before their end: one that its user has ended, and all those that a provider has ended by a handle. The
//! list is in memory, bounded, and can be kept elsewhere too.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fmt;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::time::Duration;

use tokio::sync::watch;

use super::Session;
use super::sealed::HandleDigest;
use super::sealed::SessionId;
use super::sealed::Time;
use crate::login::Handle;

/// What was revoked: 16 bytes of a session's id or of a handle's digest.
type Key = [u8; 16];

/// One revocation, in the form in which it is kept elsewhere or told to other processes: all sessions that have this key and began
/// no later than this time are over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is read by what keeps revocations elsewhere"
)]
pub struct Revocation {
    /// A part of the digest of a session or a handle. It tells nothing of either.
    pub key: [u8; 16],
    /// The time, in milliseconds since 1970.
    pub begun_until: u64,
}

/// Is told of every revocation, to keep it for the next start, or to tell other processes.
pub trait RevocationSink: Send + Sync {
    /// A session was revoked in this process. Don't block: a client waits.
    fn revoked(&self, revocation: Revocation);
}

/// The sessions that are over. Share one list between all [`Sessions`](super::Sessions) of a process.
pub struct Revocations {
    list: RwLock<List>,
    sink: Option<Box<dyn RevocationSink>>,
    /// Tells whoever waits for the end of a session that the list has grown.
    grown: watch::Sender<()>,
}

struct List {
    most: usize,
    max_age: Duration,
    /// By key, until when a session must have begun to be over.
    times: HashMap<Key, Time>,
    /// The same, by time.
    order: BTreeSet<(Time, Key)>,
    /// All sessions that began no later are over, whatever their keys are.
    all_until: Option<Time>,
}

impl Revocations {
    /// An empty list of at most this many revocations, for sessions that live no longer than `max_age`. If there are more, the
    /// oldest one makes room, and with it all sessions end that began no later than those that it ended: nothing that was revoked
    /// is valid again.
    pub fn new(most: usize, max_age: Duration) -> Self {
        Self {
            list: RwLock::new(List {
                most: most.max(1),
                max_age,
                times: HashMap::new(),
                order: BTreeSet::new(),
                all_until: None,
            }),
            sink: None,
            grown: watch::Sender::new(()),
        }
    }

    /// Changes the bounds of the list, as [`new`](Self::new) has them.
    pub fn set_bounds(&self, most: usize, max_age: Duration) {
        let mut list = self.write();
        list.most = most.max(1);
        list.max_age = max_age;
        list.shrink();
    }

    /// Tells this of every revocation.
    #[must_use]
    pub fn with_sink(self, sink: impl RevocationSink + 'static) -> Self {
        Self {
            sink: Some(Box::new(sink)),
            ..self
        }
    }

    /// Ends a session, its later renewals included.
    pub fn revoke(&self, session: &Session) {
        self.tell(Revocation {
            key: session.sealed.id.0,
            begun_until: session.sealed.begun.0,
        });
    }

    /// Ends all sessions of an authenticator that have this handle and began until now.
    pub fn revoke_handle(&self, authenticator: &str, handle: &Handle) {
        self.tell(Revocation {
            key: HandleDigest::of(authenticator, handle).0,
            begun_until: Time::now().0,
        });
    }

    /// Adds a revocation that was kept elsewhere or comes from another process.
    pub fn add(&self, revocation: Revocation) {
        let mut list = self.write();
        list.drop_older(Time::now());
        list.add(revocation.key, Time(revocation.begun_until));
        list.shrink();
        drop(list);
        self.grown.send_replace(());
    }

    /// Ends all sessions that began no later than this time, in milliseconds since 1970.
    pub fn revoke_all(&self, begun_until: u64) {
        let mut list = self.write();
        list.all_until = list.all_until.max(Some(Time(begun_until)));
        drop(list);
        self.grown.send_replace(());
    }

    /// Until when a session must have begun to be over, whichever it is, in milliseconds since 1970. `None` if there is no such
    /// time.
    pub fn all_until(&self) -> Option<u64> {
        self.read().all_until.map(|time| time.0)
    }

    /// All revocations that can still matter, for whatever keeps them elsewhere.
    pub fn entries(&self) -> Vec<Revocation> {
        let list = self.read();
        let entries = list.order.iter().map(|(time, key)| Revocation {
            key: *key,
            begun_until: time.0,
        });
        entries.collect()
    }

    /// How many revocations are in the list.
    pub fn len(&self) -> usize {
        self.read().times.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a session is over.
    pub(super) fn end(&self, id: &SessionId, handles: &[HandleDigest], begun: Time) -> bool {
        let list = self.read();
        let is_over = |until: Option<&Time>| until.is_some_and(|until| begun <= *until);
        is_over(list.all_until.as_ref())
            || is_over(list.times.get(&id.0))
            || handles.iter().any(|handle| is_over(list.times.get(&handle.0)))
    }

    fn tell(&self, revocation: Revocation) {
        self.add(revocation);
        if let Some(sink) = &self.sink {
            sink.revoked(revocation);
        }
    }

    /// Waits until the list has grown since this was made.
    pub(super) fn growth(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, List> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn add(&mut self, key: Key, until: Time) {
        let known = self.times.get(&key).copied();
        if known.is_some_and(|known| known >= until) {
            return;
        }
        if let Some(known) = known {
            self.order.remove(&(known, key));
        }
        self.times.insert(key, until);
        self.order.insert((until, key));
    }

    /// Drops the revocations of sessions that are all over by their age.
    fn drop_older(&mut self, now: Time) {
        while let Some((time, key)) = self.order.first().copied() {
            if time.ago(now) <= self.max_age {
                return;
            }
            self.order.pop_first();
            self.times.remove(&key);
        }
    }

    /// Drops the oldest revocations that there is no room for.
    fn shrink(&mut self) {
        while self.times.len() > self.most
            && let Some((time, key)) = self.order.pop_first()
        {
            self.times.remove(&key);
            self.all_until = self.all_until.max(Some(time));
        }
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.read();
        write!(f, "Revocations({} of {})", list.times.len(), list.most)
    }
}
