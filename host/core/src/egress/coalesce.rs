//! Coalesces concurrent identical requests into one exchange, which runs as a task of its own. A request that stops
//! waiting doesn't affect the others, even if it started the exchange; the exchange is cancelled when no request waits
//! for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use futures_util::FutureExt;
use futures_util::future::Shared;
use futures_util::future::WeakShared;
use tokio::sync::oneshot;

use super::key::Key;

type Waiting<T> = oneshot::Receiver<Arc<T>>;

/// The outcome of an exchange. It is an error if the exchange's task panicked.
pub(super) type PendingExchange<T> = Shared<Waiting<T>>;

/// The exchanges in flight, by the key of their requests.
pub(super) struct Coalescer<T>(Arc<Mutex<InFlight<T>>>);

struct InFlight<T> {
    exchanges: HashMap<Key, (u64, WeakShared<Waiting<T>>)>,
    started: u64,
}

impl<T: Send + Sync + 'static> Coalescer<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(InFlight {
            exchanges: HashMap::new(),
            started: 0,
        })))
    }

    /// Joins the exchange for this key, or starts it. Also returns whether it was started.
    pub(super) fn join<F>(&self, key: Key, start: impl FnOnce() -> F) -> (PendingExchange<T>, bool)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut in_flight = self.lock();
        let joined = in_flight.exchanges.get(&key).and_then(|(_, pending)| pending.upgrade());
        if let Some(pending) = joined {
            return (pending, false);
        }
        let (mut sender, receiver) = oneshot::channel();
        let pending = receiver.shared();
        in_flight.started += 1;
        let number = in_flight.started;
        // It was not polled yet, so it can be downgraded.
        let registration = pending.downgrade().map(|weak| {
            in_flight.exchanges.insert(key.clone(), (number, weak));
            Registration(Self(Arc::clone(&self.0)), key, number)
        });
        drop(in_flight);
        let exchange = start();
        tokio::spawn(async move {
            let exchanged = tokio::select! {
                exchanged = exchange => exchanged,
                () = sender.closed() => return,
            };
            // Removed first, so that a later request doesn't get this outcome.
            drop(registration);
            // No request may be waiting any more.
            let _ = sender.send(Arc::new(exchanged));
        });
        (pending, true)
    }

    fn lock(&self) -> MutexGuard<'_, InFlight<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes an exchange from the map when its task ends in any way, unless a newer exchange has replaced it.
struct Registration<T: Send + Sync + 'static>(Coalescer<T>, Key, u64);

impl<T: Send + Sync + 'static> Drop for Registration<T> {
    fn drop(&mut self) {
        let mut in_flight = self.0.lock();
        if in_flight
            .exchanges
            .get(&self.1)
            .is_some_and(|(number, _)| *number == self.2)
        {
            in_flight.exchanges.remove(&self.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tokio::sync::Semaphore;

    use super::*;

    fn key() -> Key {
        Key::of_exchange(&Request::get("http://a/").body(()).unwrap())
    }

    #[tokio::test]
    async fn all_requests_get_the_outcome_after_the_first_has_left() {
        let coalescer = Coalescer::new();
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let (first, leads) = coalescer.join(key(), || async move { opened.acquire().await.is_ok() });
        assert!(leads);
        let others = [(); 3].map(|()| coalescer.join(key(), || async { false }));
        drop(first);
        gate.add_permits(1);
        for (pending, leads) in others {
            assert!(!leads);
            assert!(*pending.await.unwrap());
        }
        let (again, leads) = coalescer.join(key(), || async { true });
        assert!(leads, "a completed exchange is not joined");
        assert!(*again.await.unwrap());
    }

    #[tokio::test]
    async fn an_exchange_without_waiting_requests_is_cancelled_and_the_next_is_a_new_one() {
        let coalescer = Coalescer::new();
        let (ended, end) = oneshot::channel::<()>();
        let (pending, _) = coalescer.join(key(), || async move {
            let _held = ended;
            std::future::pending::<bool>().await
        });
        drop(pending);
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let (next, leads) = coalescer.join(key(), || async move { opened.acquire().await.is_ok() });
        assert!(leads);
        assert!(end.await.is_err(), "the exchange is dropped");
        let (joined, leads) = coalescer.join(key(), || async { false });
        assert!(!leads, "the end of the first doesn't remove the next");
        gate.add_permits(1);
        assert!(*next.await.unwrap() && *joined.await.unwrap());
    }

    #[tokio::test]
    async fn an_exchange_that_panics_is_an_error_and_the_next_is_a_new_one() {
        let coalescer: Coalescer<()> = Coalescer::new();
        let (pending, _) = coalescer.join(key(), || async { std::panic::resume_unwind(Box::new("on purpose")) });
        assert!(pending.await.is_err());
        let (next, leads) = coalescer.join(key(), || async {});
        assert!(leads);
        assert!(next.await.is_ok());
    }
}
