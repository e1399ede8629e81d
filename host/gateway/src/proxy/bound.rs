//! Connections to servers that belong to one client, because the client may have authenticated them. In the pool such a
//! connection would carry the requests of others, which the server would answer as that client's.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::pool::Http1;
use super::pool::Pool;

/// The connections to servers that belong to one client connection. They end with it.
#[derive(Default)]
pub(crate) struct BoundConnections(Mutex<Vec<Bound>>);

struct Bound {
    pool: Arc<Pool>,
    sender: Option<String>,
    since: Instant,
    connection: Http1,
}

/// The client connection that a request came over, and the user who sent it. Other users of the connection get none of
/// the user's connections.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// The connections that belong to the client connection.
    pub(crate) connections: Arc<BoundConnections>,
    /// The user. `None` for anonymous requests.
    pub(crate) sender: Option<String>,
}

impl Owner {
    /// Whether no connection belongs to the client connection.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.lock().is_empty()
    }

    /// Whether a connection of this pool belongs to the owner.
    pub(super) fn has(&self, pool: &Arc<Pool>) -> bool {
        self.connections.lock().iter().any(|bound| self.owns(bound, pool))
    }

    /// Takes the connection of this pool that belongs to the owner.
    pub(super) fn take(&self, pool: &Arc<Pool>) -> Option<Http1> {
        let mut bound = self.connections.lock();
        let own = bound.iter().position(|bound| self.owns(bound, pool))?;
        Some(bound.swap_remove(own).connection)
    }

    /// Keeps a connection of this pool, which may still be busy with a response, for the owner's next request. An idle
    /// connection is kept as long as the pool would.
    pub(super) fn keep(&self, pool: &Arc<Pool>, connection: Http1) {
        let mut bound = self.connections.lock();
        bound.retain(|bound| !Arc::ptr_eq(&bound.pool, pool));
        if bound.len() == MAX_BOUND {
            bound.remove(0);
        }
        bound.push(Bound {
            pool: Arc::clone(pool),
            sender: self.sender.clone(),
            since: Instant::now(),
            connection,
        });
        drop(bound);
        let connections = Arc::downgrade(&self.connections);
        let idle = pool.keepalive.http1.max(MIN_IDLE);
        tokio::spawn(async move {
            tokio::time::sleep(idle).await;
            if let Some(connections) = connections.upgrade() {
                let mut bound = connections.lock();
                bound.retain(|bound| bound.since.elapsed() < idle);
            }
        });
    }

    fn owns(&self, bound: &Bound, pool: &Arc<Pool>) -> bool {
        Arc::ptr_eq(&bound.pool, pool) && bound.sender == self.sender
    }
}

impl BoundConnections {
    fn lock(&self) -> MutexGuard<'_, Vec<Bound>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BoundConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundConnections")
    }
}

/// How long a connection is kept at least, so that the next message of a handshake still finds it.
const MIN_IDLE: Duration = Duration::from_secs(1);

/// How many connections a client connection may keep. It needs one for each server that it has authenticated with.
const MAX_BOUND: usize = 4;
