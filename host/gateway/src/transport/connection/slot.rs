//! The slots of a listener: how many connections it has and may have, for metrics too.

use std::sync::Arc;

use metrics::Gauge;
use metrics::describe_gauge;
use metrics::gauge;
use tokio::sync::OwnedSemaphorePermit;

use super::activity::ActiveRequest;

const OPEN: &str = "portcullis_connections";
const MOST: &str = "portcullis_max_connections";

/// One of the `max_connections` of a listener. It becomes free when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    _occupied: Arc<Occupied>,
    /// The stream of HTTP/2 that the slot is kept for. `None` if it is kept for the connection.
    _stream: Option<Arc<ActiveRequest>>,
}

#[derive(Debug)]
struct Occupied {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

impl Slot {
    /// The slot of an exchange that no client's connection belongs to. It isn't counted.
    pub(crate) fn uncounted(permit: OwnedSemaphorePermit) -> Self {
        Self::counted(permit, Gauge::noop())
    }

    fn counted(permit: OwnedSemaphorePermit, open: Gauge) -> Self {
        open.increment(1);
        Self {
            _occupied: Arc::new(Occupied { _permit: permit, open }),
            _stream: None,
        }
    }

    /// The same slot for a WebSocket on a stream of HTTP/2: as long as it is kept, the connection is in use.
    pub(super) fn of_stream(&self, request: ActiveRequest) -> Self {
        Self {
            _occupied: Arc::clone(&self._occupied),
            _stream: Some(Arc::new(request)),
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}

/// Counts the connections of one listener.
#[derive(Clone, Debug)]
pub(crate) struct SlotGauges {
    open: Gauge,
    most: Gauge,
}

impl SlotGauges {
    /// The gauges of a listener, by the section of the configuration that has its `listen`.
    pub(crate) fn register(listener: &'static str) -> Self {
        describe_gauge!(
            OPEN,
            "Open connections of a listener, upgraded and forwarded ones included"
        );
        describe_gauge!(
            MOST,
            "How many connections a listener may have open; 0 if there is no such listener"
        );
        Self {
            open: gauge!(OPEN, "listener" => listener),
            most: gauge!(MOST, "listener" => listener),
        }
    }

    /// Says how many connections there may be.
    pub(crate) fn set_most(&self, slots: usize) {
        self.most.set(f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
    }

    /// The slot of a connection, which counts until it is free.
    pub(crate) fn occupy(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot::counted(permit, self.open.clone())
    }
}
