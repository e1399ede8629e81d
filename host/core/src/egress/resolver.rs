//! Names to addresses, less the special ones. The connector dials what this returns and resolves nothing again, so an
//! answer that changes between check and use (DNS rebinding) changes nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

use super::address;

/// The system's resolver, filtered.
#[derive(Clone, Debug)]
pub(super) struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
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
