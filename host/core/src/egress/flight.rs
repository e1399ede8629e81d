//! Exchanges that are under way, so that identical requests at the same time make one. Each runs as a task of its own,
//! within its own bounds: whoever waits for it may go away, the first one too, and the others still get the answer. When
//! all have gone it ends, so that nobody's requests hold connections longer than their calls.

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

/// What an exchange leads to; an error when its task ended without a word.
pub(super) type Flight<T> = Shared<Waiting<T>>;

/// Exchanges under way, by what is asked. A clone is the same.
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

    /// The exchange for this key that is under way, or else the one that is started now; and whether it is the latter.
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
        // Nobody has polled it yet, so there is something to point at.
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
            // First, so that whoever was answered and asks again is not answered with this.
            drop(entry);
            // Nobody may be waiting any more.
            let _ = sender.send(Arc::new(landed));
        });
        (flight, true)
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of an exchange, which goes with it however it ends. By then another may have its place.
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
    async fn all_who_join_get_the_one_answer_though_the_first_goes_away() {
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
        assert!(leads, "what has landed is not joined");
        assert!(*again.await.unwrap());
    }

    #[tokio::test]
    async fn an_exchange_that_nobody_waits_for_ends_and_the_next_one_is_another() {
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
        assert!(end.await.is_err(), "what the exchange held is dropped");
        let (joined, leads) = flights.join(key(), || async { false });
        assert!(!leads, "the entry of the next outlives the end of the first");
        gate.add_permits(1);
        assert!(*next.await.unwrap() && *joined.await.unwrap());
    }

    #[tokio::test]
    async fn an_exchange_that_ends_without_a_word_is_known_to_have_and_the_next_one_is_another() {
        let flights: Flights<()> = Flights::new();
        let (flight, _) = flights.join(key(), || async { std::panic::resume_unwind(Box::new("on purpose")) });
        assert!(flight.await.is_err());
        let (next, leads) = flights.join(key(), || async {});
        assert!(leads);
        assert!(next.await.is_ok());
    }
}
