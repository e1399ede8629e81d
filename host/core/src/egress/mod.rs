//! Requests of plugins to other servers: allowed by name, resolved, filtered by address, then sent to the very address
//! that was checked. Connections, stored answers and secrets are one authenticator's each and never cross grants.

mod address;
mod answer;
mod body;
mod call;
mod counters;
mod directives;
mod exchange;
mod failure;
mod flight;
mod key;
mod outbound;
mod permit;
mod pool;
mod resolver;
mod send;
mod store;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use self::counters::Counters;
use self::counters::Ending;
use self::exchange::Landed;
use self::flight::Flights;
use self::pool::Pool;
use self::resolver::Lookup;
use self::resolver::Resolver;
use self::store::Store;
use crate::grants::Grants;

pub(crate) use self::call::CallEgress;
pub use self::outbound::Outbound;
pub use self::outbound::OutboundError;

/// Most requests of one authenticator that may be under way.
const MAX_PLACES: usize = 64;

/// How long an exchange may take, from the look for a connection to the last byte.
const EXCHANGE: Duration = Duration::from_secs(30);

/// The outbound side of one authenticator. A clone shares all of it.
#[derive(Clone)]
pub(crate) struct Egress(Arc<Shared>);

struct Shared {
    counters: Counters,
    exchange: Duration,
    flights: Flights<Landed>,
    grants: Arc<Grants>,
    outbound: Outbound,
    places: Arc<Semaphore>,
    pool: Pool,
    store: Store,
}

impl Egress {
    /// `tls` is for an authenticator that has no configuration of its own.
    pub(crate) fn new(
        authenticator: &str,
        grants: Arc<Grants>,
        outbound: Outbound,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Self {
        Self::resolving(
            Resolver::system(),
            EXCHANGE,
            Counters::register(authenticator),
            grants,
            outbound,
            tls,
        )
    }

    /// The outbound side of what is no authenticator: nothing is granted, and nothing counted.
    pub(crate) fn closed() -> Self {
        let grants = Arc::new(Grants::default());
        Self::resolving(
            Resolver::system(),
            EXCHANGE,
            Counters::none(),
            grants,
            Outbound::default(),
            None,
        )
    }

    fn resolving(
        lookup: Lookup,
        exchange: Duration,
        counters: Counters,
        grants: Arc<Grants>,
        outbound: Outbound,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Self {
        let resolver = Resolver::new(lookup, grants.private);
        Self(Arc::new(Shared {
            counters,
            exchange,
            flights: Flights::new(),
            pool: pool::new(resolver, outbound.tls.as_ref().or(tls)),
            grants,
            outbound,
            places: Arc::new(Semaphore::new(MAX_PLACES)),
            store: Store::new(),
        }))
    }

    fn count(&self, ending: Ending) {
        self.0.counters.count(ending);
    }
}

#[cfg(test)]
mod tests;
