//! Clients whose calls keep failing, whatever their credentials. Many people may be behind such an address, so that it isn't
//! refused: those of whom nothing good is known share a few of the plugin's calls.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::super::sender::Credentials;
use super::Stopped;
use super::few_of;

/// A client with failures since its last successful call.
#[derive(Debug)]
pub(super) struct FailingClient {
    failures: Mutex<Failures>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    /// Those of the first one.
    credentials: Option<Credentials>,
    /// Whether they can't be put down to one sender's credentials.
    are_of_several: bool,
    is_suspect: bool,
}

impl FailingClient {
    /// A client of a plugin that may have this many calls at once.
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            failures: Mutex::default(),
            places: Arc::new(Semaphore::new(few_of(concurrency))),
        }
    }

    /// Counts a failed call, and returns whether the client is suspect from now on. One sender's credentials alone don't make
    /// it so: they have a circuit of their own.
    pub(super) fn fail(&self, credentials: Option<Credentials>, threshold: u32) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.in_a_row == 0 {
            failures.credentials = credentials;
        }
        failures.are_of_several |= credentials.is_none() || credentials != failures.credentials;
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        let is_suspect = failures.are_of_several && failures.in_a_row >= threshold;
        is_suspect && !std::mem::replace(&mut failures.is_suspect, true)
    }

    /// Takes a place for a call of a sender who isn't known. `None` if the client isn't suspect, so that it needs none.
    pub(super) fn enter(&self) -> Result<Option<OwnedSemaphorePermit>, Stopped> {
        if !self.failures.lock().unwrap_or_else(PoisonError::into_inner).is_suspect {
            return Ok(None);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(Some).map_err(|_| Stopped::Few)
    }
}
