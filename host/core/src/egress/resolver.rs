//! Names to addresses, less the special ones. The connector dials what this returns and resolves nothing again, so an
//! answer that changes between check and use (DNS rebinding) changes nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

use super::address;

/// Most look-ups of one authenticator at once. A look-up holds a thread of the process until the system's resolver
/// answers, long after the call that wanted it, and the threads are everybody's.
const MAX_LOOK_UPS: usize = 8;

/// The system's resolver, filtered. A clone counts with it.
#[derive(Clone, Debug)]
pub(super) struct Resolver(Arc<Semaphore>);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOK_UPS)))
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let look_ups = Arc::clone(&self.0);
        Box::pin(async move {
            let place = look_ups.acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own, so that the place is taken for as long as the thread is.
            let look_up = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>();
                drop(place);
                io::Result::Ok(found)
            });
            let found = look_up.await??;
            let (special, public): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| address::special(found.ip()));
            if public.is_empty() && !special.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, Prohibited));
            }
            Ok(public.into_iter())
        })
    }
}

/// A name resolves to special addresses only.
#[derive(Debug)]
pub(super) struct Prohibited;

impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("the name resolves to a special address only")
    }
}

impl std::error::Error for Prohibited {}
