//! Names to addresses, less those that a name may not lead to. The connector dials what this returns and resolves nothing
//! again, so an answer that changes between check and use (DNS rebinding) changes nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

use super::address::Kind;

/// Most look-ups of one authenticator at once. A look-up holds a thread of the process until the system's resolver
/// answers, long after the call that wanted it, and the threads are everybody's.
const MAX_LOOK_UPS: usize = 8;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// What turns a name into addresses.
pub(super) type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// A resolver, filtered.
#[derive(Clone)]
pub(super) struct Resolver {
    lookup: Lookup,
    private: bool,
}

impl Resolver {
    /// `private`: whether names may lead to this machine and to private networks.
    pub(super) fn new(lookup: Lookup, private: bool) -> Self {
        Self { lookup, private }
    }

    /// The system's own. What one of them resolves counts against its places, and against no other's.
    pub(super) fn system() -> Lookup {
        let places = Arc::new(Semaphore::new(MAX_LOOK_UPS));
        Arc::new(move |name| {
            let places = Arc::clone(&places);
            Box::pin(async move {
                let place = places.acquire_owned().await.map_err(io::Error::other)?;
                // A task of its own, so that the place is taken for as long as the thread is.
                let found = tokio::spawn(async move {
                    let found = tokio::net::lookup_host((name, 0)).await?.collect();
                    drop(place);
                    io::Result::Ok(found)
                });
                found.await?
            })
        })
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
        let (found, private) = ((self.lookup)(name.as_str().to_owned()), self.private);
        Box::pin(async move {
            let found = tokio::time::timeout(PATIENCE, found).await??;
            let kinds = Vec::from_iter(found.iter().map(|found| Kind::of(found.ip())));
            let allowed = |kind: Kind| kind == Kind::Public || (private && kind == Kind::Private);
            let dialled = Vec::from_iter(
                std::iter::zip(&found, &kinds)
                    .filter(|(_, kind)| allowed(**kind))
                    .map(|(found, _)| *found),
            );
            if dialled.is_empty() && !found.is_empty() {
                let only_private = kinds.iter().all(|kind| *kind == Kind::Private);
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    Prohibited { only_private },
                ));
            }
            Ok(dialled.into_iter())
        })
    }
}

/// A name leads to nothing but addresses that it may not lead to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prohibited {
    /// Leave for private addresses would be enough.
    pub(super) only_private: bool,
}

impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.only_private {
            "the name leads to private addresses only; grant the address, or set grants.private"
        } else {
            "the name leads to special addresses only; if it is meant, grant the address itself"
        })
    }
}

impl std::error::Error for Prohibited {}

#[cfg(test)]
mod tests {
    use super::*;

    async fn dialled(private: bool, found: &[&str]) -> io::Result<Vec<String>> {
        let found = Vec::from_iter(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)));
        let lookup: Lookup = Arc::new(move |_| Box::pin(std::future::ready(Ok(found.clone()))));
        let dialled = Resolver::new(lookup, private).call("name".parse().unwrap()).await?;
        Ok(dialled.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn only_addresses_that_a_name_may_lead_to_are_dialled() {
        let mixed = [
            "10.0.0.1",
            "1.1.1.1",
            "169.254.169.254",
            "::1",
            "fe80::1",
            "2606:4700::1111",
        ];
        assert_eq!(dialled(false, &mixed).await.unwrap(), ["1.1.1.1", "2606:4700::1111"]);
        assert_eq!(
            dialled(true, &mixed).await.unwrap(),
            ["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]
        );
        assert_eq!(dialled(false, &[]).await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_else_is_prohibited() {
        for (private, found, only_private) in [
            (false, &["127.0.0.1", "::1"][..], true),
            (false, &["127.0.0.1", "169.254.169.254"], false),
            (true, &["169.254.169.254", "fd00:ec2::254"], false),
        ] {
            let error = dialled(private, found).await.unwrap_err();
            let prohibited = error.get_ref().unwrap().downcast_ref::<Prohibited>();
            assert_eq!(prohibited, Some(&Prohibited { only_private }), "{found:?}");
        }
    }

    /// What a guest writes in a URL, and the system's resolver understands.
    #[tokio::test]
    async fn numbers_that_the_system_takes_for_addresses_are_judged_as_those() {
        for name in ["localhost", "2130706433", "0x7f.1", "127.1", "017700000001", "0"] {
            let result = Resolver::new(Resolver::system(), false)
                .call(name.parse().unwrap())
                .await;
            // A resolver that doesn't understand the spelling finds nothing, which is as good.
            let kind = result.map(|dialled| dialled.count()).unwrap_err().kind();
            assert_ne!(kind, io::ErrorKind::TimedOut, "{name}");
        }
    }
}
