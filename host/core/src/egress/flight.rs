//! Coalesces concurrent identical requests into one exchange, which runs as a task of its own. A request that stops waiting
//! doesn't affect the others, even if it started the exchange; the exchange is cancelled when no request waits for it.

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
pub(super) type Flight<T> = Shared<Waiting<T>>;

/// The exchanges in flight, by the key of their requests.
pub(super) struct Flights<T>(Arc<Mutex<UnderWay<T>>>);

struct UnderWay<T> {
    flights: HashMap<Key, (u64, WeakShared<Waiting<T>>)>,
    started: u64,
}

impl<T: Send + Sync + 'static> Flights<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(UnderWay {
            flights: HashMap::new(),
            started: 0,
        })))
    }

    /// Joins the exchange for this key, or starts it. Also returns whether it was started.
    pub(super) fn join<F>(&self, key: Key, start: impl FnOnce() -> F) -> (Flight<T>, bool)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut under_way = self.lock();
        let joined = under_way.flights.get(&key).and_then(|(_, flight)| flight.upgrade());
        if let Some(flight) = joined {
            return (flight, false);
        }
        let (mut sender, receiver) = oneshot::channel();
        let flight = receiver.shared();
        under_way.started += 1;
        let number = under_way.started;
        // It was not polled yet, so it can be downgraded.
        let entry = flight.downgrade().map(|weak| {
            under_way.flights.insert(key.clone(), (number, weak));
            Entry(Self(Arc::clone(&self.0)), key, number)
        });
        drop(under_way);
        let exchange = start();
        tokio::spawn(async move {
            let landed = tokio::select! {
                landed = exchange => landed,
                () = sender.closed() => return,
            };
            // Removed first, so that a later request doesn't get this outcome.
            drop(entry);
            // No request may be waiting any more.
            let _ = sender.send(Arc::new(landed));
        });
        (flight, true)
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes an exchange from the map when its task ends in any way, unless a newer exchange has replaced it.
struct Entry<T: Send + Sync + 'static>(Flights<T>, Key, u64);

impl<T: Send + Sync + 'static> Drop for Entry<T> {
    fn drop(&mut self) {
        let mut under_way = self.0.lock();
        if under_way
            .flights
            .get(&self.1)
            .is_some_and(|(number, _)| *number == self.2)
        {
            under_way.flights.remove(&self.1);
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
        let flights = Flights::new();
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let (first, leads) = flights.join(key(), || async move { opened.acquire().await.is_ok() });
        assert!(leads);
        let others = [(); 3].map(|()| flights.join(key(), || async { false }));
        drop(first);
        gate.add_permits(1);
        for (flight, leads) in others {
            assert!(!leads);
            assert!(*flight.await.unwrap());
        }
        let (again, leads) = flights.join(key(), || async { true });
        assert!(leads, "a completed exchange is not joined");
        assert!(*again.await.unwrap());
    }

    #[tokio::test]
    async fn an_exchange_without_waiting_requests_is_cancelled_and_the_next_is_a_new_one() {
        let flights = Flights::new();
        let (ended, end) = oneshot::channel::<()>();
        let (flight, _) = flights.join(key(), || async move {
            let _held = ended;
            std::future::pending::<bool>().await
        });
        drop(flight);
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let (next, leads) = flights.join(key(), || async move { opened.acquire().await.is_ok() });
        assert!(leads);
        assert!(end.await.is_err(), "the exchange is dropped");
        let (joined, leads) = flights.join(key(), || async { false });
        assert!(!leads, "the end of the first doesn't remove the next");
        gate.add_permits(1);
        assert!(*next.await.unwrap() && *joined.await.unwrap());
    }

    #[tokio::test]
    async fn an_exchange_that_panics_is_an_error_and_the_next_is_a_new_one() {
        let flights: Flights<()> = Flights::new();
        let (flight, _) = flights.join(key(), || async { std::panic::resume_unwind(Box::new("on purpose")) });
        assert!(flight.await.is_err());
        let (next, leads) = flights.join(key(), || async {});
        assert!(leads);
        assert!(next.await.is_ok());
    }
}
