//! Calls about equal requests: while the first one runs, the others wait for its decision.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Semaphore;

use super::key::Key;

/// The calls that run, by the key of their requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Key, Arc<Semaphore>>>>);

/// Which of equal requests calls the plugin.
pub(super) enum Turn<F> {
    /// This one, and the others wait until the guard is dropped.
    Leads(Guard),
    /// Another one. The future completes when its call has ended.
    Follows(F),
}

impl Flights {
    /// Begins a call, or waits for the one that runs.
    pub(super) fn enter(&self, key: Key) -> Turn<impl Future<Output = ()> + use<>> {
        match self.lock().entry(key) {
            Entry::Occupied(running) => {
                let running = Arc::clone(running.get());
                Turn::Follows(async move {
                    // It has no permits: it is closed in the end.
                    let _ = running.acquire().await;
                })
            }
            Entry::Vacant(free) => {
                free.insert(Arc::new(Semaphore::new(0)));
                Turn::Leads(Guard {
                    flights: self.clone(),
                    key,
                })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call for which others may wait. They go on when it is dropped, however the call ends.
#[derive(Debug)]
pub(super) struct Guard {
    flights: Flights,
    key: Key,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let ended = self.flights.lock().remove(&self.key);
        if let Some(ended) = ended {
            ended.close();
        }
    }
}
