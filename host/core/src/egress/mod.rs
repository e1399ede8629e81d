//! Requests of plugins to other servers. A request is checked against the grants, its host is resolved, the addresses
//! are filtered, and the connection is made to an address that was checked. Connections, cached responses and secrets
//! belong to one authenticator and are never shared with another.

mod address;
mod body;
mod buffered;
mod call;
mod coalesce;
mod counters;
mod dialer;
mod directives;
mod exchange;
mod failure;
mod key;
mod outbound;
mod permit;
mod played;
mod pool;
mod proxy;
mod resolver;
mod secret_header;
mod send;
mod store;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use self::coalesce::Coalescer;
use self::counters::Counters;
use self::counters::SendOutcome;
use self::dialer::Dialer;
use self::exchange::ExchangeOutcome;
use self::pool::Pool;
use self::resolver::Lookup;
use self::resolver::Resolver;
use self::store::Store;
use crate::grants::Grants;
use crate::role::PluginName;

pub(crate) use self::body::MAX_RESPONSE;
pub(crate) use self::call::CallEgress;
pub use self::outbound::Outbound;
pub use self::outbound::OutboundError;
pub use self::played::PlayedAnswer;
pub use self::played::PlayedServers;
pub use self::proxy::OutboundProxy;
pub use self::proxy::OutboundProxyError;
pub use self::secret_header::SecretHeader;

/// The most requests of one authenticator that may be in flight.
const MAX_IN_FLIGHT: usize = 64;

/// The longest time for an exchange, from the search for a connection to the last byte.
pub(crate) const EXCHANGE: Duration = Duration::from_secs(30);

/// The outbound side of one authenticator. A clone is the same side.
#[derive(Clone)]
pub(crate) struct Egress(Arc<Inner>);

struct Inner {
    counters: Counters,
    exchange: Duration,
    coalescer: Coalescer<ExchangeOutcome>,
    grants: Arc<Grants>,
    outbound: Outbound,
    permits: Arc<Semaphore>,
    pool: Pool,
    store: Store,
}

impl Egress {
    /// The outbound side of a plugin. `tls` applies if `outbound` has no configuration for TLS.
    pub(crate) fn new(
        name: &PluginName,
        grants: Arc<Grants>,
        outbound: Outbound,
        tls: Option<&Arc<rustls::ClientConfig>>,
        proxy: Option<&OutboundProxy>,
    ) -> Self {
        Self::resolving(
            Resolver::system(),
            EXCHANGE,
            Counters::register(name),
            grants,
            outbound,
            tls,
            proxy,
        )
    }

    /// An outbound side that denies every request and counts nothing.
    pub(crate) fn closed() -> Self {
        let grants = Arc::new(Grants::default());
        Self::resolving(
            Resolver::system(),
            EXCHANGE,
            Counters::none(),
            grants,
            Outbound::default(),
            None,
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
        proxy: Option<&OutboundProxy>,
    ) -> Self {
        let resolver = Resolver::new(lookup, grants.private);
        Self(Arc::new(Inner {
            counters,
            exchange,
            coalescer: Coalescer::new(),
            pool: match &outbound.servers {
                Some(servers) => Pool::played(servers),
                None => Pool::new(Dialer::new(resolver, proxy.cloned()), outbound.tls.as_ref().or(tls)),
            },
            grants,
            outbound,
            permits: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            store: Store::new(),
        }))
    }

    fn count(&self, outcome: SendOutcome) {
        self.0.counters.count(outcome);
    }
}

#[cfg(test)]
mod tests;
