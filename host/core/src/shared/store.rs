//! What a store outside of the process must do for several processes that share it: keep values for a time, count calls, and keep a
//! log. `host/redis` does it with Redis or Valkey.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// The answer of a store.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that several processes share. Its futures may be dropped before they complete; the store then does what it was asked, or
/// doesn't.
///
/// Names are texts of at most 512 bytes.
pub trait SharedStore: Send + Sync + 'static {
    /// The value of a name. `None` if there is none.
    fn get(&self, name: String) -> StoreFuture<'_, Option<Vec<u8>>>;

    /// Stores a value for this long, and replaces an existing one.
    fn set(&self, name: String, value: Vec<u8>, life: Duration) -> StoreFuture<'_, ()>;

    /// Stores a value for this long unless there is one already, atomically, and returns whether it did.
    fn add(&self, name: String, value: Vec<u8>, life: Duration) -> StoreFuture<'_, bool>;

    /// Removes a value.
    fn delete(&self, name: String) -> StoreFuture<'_, ()>;

    /// Puts this much time on an account, from which time runs off by itself, atomically. Returns how much is on it then: by the
    /// generic cell rate algorithm that is how far the theoretical arrival time is ahead of now.
    fn charge(&self, name: String, time: Duration) -> StoreFuture<'_, Duration>;

    /// Adds an entry to the end of a log, and drops those that are older than `keep`, and those before the last `most`.
    fn append(&self, log: String, entry: Vec<u8>, keep: Duration, most: usize) -> StoreFuture<'_, ()>;

    /// The entries of a log after a position, oldest first, at most 1,000 at once. If there are none, waits this long for one.
    /// `None` stands for the beginning.
    fn read(&self, log: String, after: Option<LogPosition>, wait: Duration) -> StoreFuture<'_, Vec<LogEntry>>;

    /// Completes if the store answers.
    fn ping(&self) -> StoreFuture<'_, ()>;
}

/// A place in a log, as its store writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it")]
pub struct LogPosition(pub Box<str>);

/// An entry of a log.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "stores make it")]
pub struct LogEntry {
    /// Where it is.
    pub position: LogPosition,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// Why a store doesn't do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It can't be reached, or doesn't let this process in. The text has no secret.
    #[error("{0}")]
    Lost(String),
    /// It answered, but doesn't do this: it may be full. The text has no secret.
    #[error("{0}")]
    Refused(String),
}

impl fmt::Debug for dyn SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore")
    }
}
