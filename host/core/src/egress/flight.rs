//! Exchanges that are under way, so that identical requests at the same time make one. Each runs as a task of its own,
//! within its own bounds: whoever waits for it may go away, the first one too, and the others still get the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;

use super::key::Key;

/// What an exchange leads to; an error when its task ended without a word.
pub(super) type Flight<T> = Shared<oneshot::Receiver<Arc<T>>>;

/// Exchanges under way, by what is asked. A clone is the same.
pub(super) struct Flights<T>(Arc<Mutex<HashMap<Key, Flight<T>>>>);

impl<T: Send + Sync + 'static> Flights<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// The exchange for this key that is under way, or else the one that is started now; and whether it is the latter.
    pub(super) fn join<F>(&self, key: Key, start: impl FnOnce() -> F) -> (Flight<T>, bool)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&key) {
            return (flight.clone(), false);
        }
        let (sender, receiver) = oneshot::channel();
        let flight = receiver.shared();
        flights.insert(key.clone(), flight.clone());
        drop(flights);
        let (exchange, entry) = (start(), Entry(Self(Arc::clone(&self.0)), key));
        tokio::spawn(async move {
            let landed = exchange.await;
            // First, so that whoever was answered and asks again is not answered with this.
            drop(entry);
            // Nobody may be waiting any more.
            let _ = sender.send(Arc::new(landed));
        });
        (flight, true)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Flight<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of an exchange, which goes with it however it ends.
struct Entry<T: Send + Sync + 'static>(Flights<T>, Key);

impl<T: Send + Sync + 'static> Drop for Entry<T> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
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
        drop(first);
        let others = [(); 3].map(|()| flights.join(key(), || async { false }));
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
    async fn an_exchange_that_ends_without_a_word_is_known_to_have_and_the_next_one_is_another() {
        let flights: Flights<()> = Flights::new();
        let (flight, _) = flights.join(key(), || async { std::panic::resume_unwind(Box::new("on purpose")) });
        assert!(flight.await.is_err());
        let (next, leads) = flights.join(key(), || async {});
        assert!(leads);
        assert!(next.await.is_ok());
    }
}
