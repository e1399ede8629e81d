//! Sessions that are over before their end: one that its user has ended, all those that a provider has ended by a handle, and
//! those that an operator ends. The list is in memory, bounded, and can be kept elsewhere too.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fmt;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::Session;
use super::scope;
use super::scope::RevocationScope;
use super::scope::is_of_operator;
use super::sealed::HandleDigest;
use super::sealed::Sealed;
use super::sealed::Time;
use crate::login::Handle;

/// What was revoked: 16 bytes of a session's id, or of the digest of a handle or of what an operator named.
pub(super) type Key = [u8; 16];

/// One revocation, in the form in which it is kept elsewhere or told to other processes: all sessions that have this key and began
/// no later than this time are over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is read by what keeps revocations elsewhere"
)]
pub struct Revocation {
    /// The id of a session, or a part of the digest of a handle or of what an operator named. It tells nothing of these.
    pub key: [u8; 16],
    /// The time, in milliseconds since 1970.
    pub begun_until: u64,
}

impl Revocation {
    /// The bytes by which processes tell each other of these.
    pub fn encode(revocations: &[Self]) -> Vec<u8> {
        let bytes = revocations.iter().flat_map(|Self { key, begun_until }| {
            let until = begun_until.to_be_bytes();
            key.iter().copied().chain(until)
        });
        bytes.collect()
    }

    /// What such bytes say. `None` if they aren't such bytes.
    pub fn decode(bytes: &[u8]) -> Option<Vec<Self>> {
        let (entries, rest) = bytes.as_chunks::<24>();
        let entries = entries.iter().map(|entry| {
            let (key, begun_until) = entry.split_first_chunk()?;
            Some(Self {
                key: *key,
                begun_until: u64::from_be_bytes(*begun_until.first_chunk()?),
            })
        });
        rest.is_empty().then(|| entries.collect())?
    }
}

/// Is told of every revocation, to keep it for the next start, or to tell other processes.
pub trait RevocationSink: Send + Sync {
    /// Something was revoked in this process. Don't block: a client waits.
    fn revoked(&self, revocation: Revocation);

    /// Another process has told this one of a revocation that wasn't known. Don't block. Default: nothing happens.
    fn heard(&self, revocation: Revocation) {
        let _ = revocation;
    }
}

/// The sessions that are over. Share one list between all [`Sessions`](super::Sessions) of a process.
pub struct Revocations {
    list: RwLock<List>,
    sink: Option<Box<dyn RevocationSink>>,
    /// Tells whoever waits for the end of a session that the list has grown.
    grown: watch::Sender<()>,
    /// Tells that an operator has revoked something.
    ordered: watch::Sender<()>,
    is_uncertain: AtomicBool,
}

/// Waits for revocations by an operator.
#[derive(Debug)]
pub struct OperatorRevocations(watch::Receiver<()>);

impl OperatorRevocations {
    /// Completes when an operator has revoked something since it did so last, in this process or in another one. Never completes
    /// once the list is gone.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct List {
    most: usize,
    max_age: Duration,
    /// By key, until when a session must have begun to be over.
    times: HashMap<Key, Time>,
    /// The same, by time.
    order: BTreeSet<(Time, Key)>,
    /// How many of them an operator has ordered.
    of_operator: usize,
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
                of_operator: 0,
                all_until: None,
            }),
            sink: None,
            grown: watch::Sender::new(()),
            ordered: watch::Sender::new(()),
            is_uncertain: AtomicBool::new(false),
        }
    }

    /// Changes the bounds of the list, as [`new`](Self::new) has them.
    pub fn set_bounds(&self, most: usize, max_age: Duration) {
        let mut list = self.write();
        list.most = most.max(1);
        list.max_age = max_age;
        list.shrink();
    }

    /// How many revocations it has at most, and how long one matters.
    pub fn bounds(&self) -> (usize, Duration) {
        let list = self.read();
        (list.most, list.max_age)
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

    /// Ends all sessions of this scope that began until now, as an operator orders. What authenticators decide about credentials
    /// is another matter: [`operator_revocations`](Self::operator_revocations) says when to ask them anew.
    pub fn revoke_scope(&self, scope: &RevocationScope) {
        self.tell(Revocation {
            key: scope.key(),
            begun_until: Time::now().0,
        });
    }

    /// Tells of every revocation by an operator from now on, those of other processes included. Decisions that are kept for later
    /// requests should be forgotten then: [`Plugin::forget_decisions`](crate::Plugin::forget_decisions).
    pub fn operator_revocations(&self) -> OperatorRevocations {
        OperatorRevocations(self.ordered.subscribe())
    }

    /// Adds a revocation of which another process has told this one, and lets the sink keep it.
    pub fn hear(&self, revocation: Revocation) {
        if self.insert(revocation)
            && let Some(sink) = &self.sink
        {
            sink.heard(revocation);
        }
    }

    /// Adds a revocation that was kept elsewhere.
    pub fn add(&self, revocation: Revocation) {
        self.insert(revocation);
    }

    /// Returns whether more sessions are over than before.
    fn insert(&self, revocation: Revocation) -> bool {
        let mut list = self.write();
        list.drop_older(Time::now());
        let is_new = list.add(revocation.key, Time(revocation.begun_until));
        list.shrink();
        drop(list);
        self.grown.send_replace(());
        if is_new && is_of_operator(&revocation.key) {
            self.ordered.send_replace(());
        }
        is_new
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

    /// All revocations that can still matter, for other processes. If some have made room for others, there is one that ends all sessions
    /// which began no later than those that they ended.
    pub fn entries_for_others(&self) -> Vec<Revocation> {
        let all = self.all_until().map(|begun_until| Revocation {
            key: RevocationScope::Everybody.key(),
            begun_until,
        });
        all.into_iter().chain(self.entries()).collect()
    }

    /// Says whether sessions may be over of which this process hasn't heard for too long. No session is accepted then, and requests
    /// with one are refused with 503.
    pub fn set_uncertain(&self, is_uncertain: bool) {
        self.is_uncertain.store(is_uncertain, Ordering::Relaxed);
    }

    /// Whether no session is accepted, because it isn't known which of them are over.
    pub fn is_uncertain(&self) -> bool {
        self.is_uncertain.load(Ordering::Relaxed)
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
    pub(super) fn end(&self, session: &Sealed) -> bool {
        let list = self.read();
        let is_over = |until: Option<&Time>| until.is_some_and(|until| session.begun <= *until);
        let is_revoked = |key: &Key| is_over(list.times.get(key));
        is_over(list.all_until.as_ref())
            || is_revoked(&session.id.0)
            || session.handles.iter().any(|handle| is_revoked(&handle.0))
            // Digests cost something, and operators rarely revoke.
            || (list.of_operator > 0 && scope::shared(session).iter().any(is_revoked))
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
    /// Returns whether it ends more sessions than the list did.
    fn add(&mut self, key: Key, until: Time) -> bool {
        let known = self.times.get(&key).copied();
        if known.is_some_and(|known| known >= until) {
            return false;
        }
        match known {
            Some(known) => _ = self.order.remove(&(known, key)),
            None => self.of_operator += usize::from(is_of_operator(&key)),
        }
        self.times.insert(key, until);
        self.order.insert((until, key));
        true
    }

    /// Removes the oldest revocation.
    fn pop(&mut self) -> Option<Time> {
        let (time, key) = self.order.pop_first()?;
        self.times.remove(&key);
        let was_ordered = usize::from(is_of_operator(&key));
        self.of_operator = self.of_operator.saturating_sub(was_ordered);
        Some(time)
    }

    /// Drops the revocations of sessions that are all over by their age.
    fn drop_older(&mut self, now: Time) {
        while let Some((time, _)) = self.order.first()
            && time.ago(now) > self.max_age
        {
            self.pop();
        }
    }

    /// Drops the oldest revocations that there is no room for.
    fn shrink(&mut self) {
        while self.times.len() > self.most
            && let Some(time) = self.pop()
        {
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
