//! Resolves names, and removes the addresses that a name must not resolve to. The connector uses the returned addresses
//! and doesn't resolve again, so that DNS rebinding has no effect.

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

use super::address::AddressKind;

/// The most concurrent look-ups of one authenticator. A look-up blocks a thread until the system's resolver answers,
/// even after the call has ended, and the whole process shares these threads.
const MAX_LOOK_UPS: usize = 8;

/// The longest time for a look-up.
const TIMEOUT: Duration = Duration::from_secs(5);

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A function that resolves a name to addresses.
pub(super) type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// A resolver that removes forbidden addresses.
#[derive(Clone)]
pub(super) struct Resolver {
    lookup: Lookup,
    private: bool,
}

impl Resolver {
    /// `private` allows names that resolve to this machine and to private networks.
    pub(super) fn new(lookup: Lookup, private: bool) -> Self {
        Self { lookup, private }
    }

    /// The system's resolver. Each returned function has its own limit on concurrent look-ups.
    pub(super) fn system() -> Lookup {
        let permits = Arc::new(Semaphore::new(MAX_LOOK_UPS));
        Arc::new(move |name| {
            let permits = Arc::clone(&permits);
            Box::pin(async move {
                let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
                // In a task of its own, so that the permit is held as long as the thread is blocked.
                let found = tokio::spawn(async move {
                    let found = tokio::net::lookup_host((name, 0)).await?.collect();
                    drop(permit);
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
            let found = tokio::time::timeout(TIMEOUT, found).await;
            let found = found.map_err(|_| io::Error::other(Unresolved::Late))?;
            let found = found.map_err(|error| io::Error::other(Unresolved::Failed(error.to_string())))?;
            let kinds = Vec::from_iter(found.iter().map(|found| AddressKind::of(found.ip())));
            let allowed = |kind: AddressKind| kind == AddressKind::Public || (private && kind == AddressKind::Private);
            let dialled = Vec::from_iter(
                std::iter::zip(&found, &kinds)
                    .filter(|(_, kind)| allowed(**kind))
                    .map(|(found, _)| *found),
            );
            if dialled.is_empty() && !found.is_empty() {
                let only_private = kinds.iter().all(|kind| *kind == AddressKind::Private);
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    Prohibited { only_private },
                ));
            }
            Ok(dialled.into_iter())
        })
    }
}

/// Why a name has no address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unresolved {
    /// The resolver says so, with this text.
    #[error("{0}")]
    Failed(String),
    /// The resolver didn't answer in time.
    #[error("no answer in time")]
    Late,
}

/// A name resolves to forbidden addresses only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prohibited {
    /// Whether all of them are private, so that `grants.private` would allow them.
    pub(super) only_private: bool,
}

impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.only_private {
            "the name resolves to private addresses only; grant the address, or set grants.private"
        } else {
            "the name resolves to special addresses only; if that is intended, grant the address itself"
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
    async fn forbidden_addresses_are_removed() {
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
    async fn a_name_with_forbidden_addresses_only_is_an_error() {
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

    /// Spellings that a plugin may use in a URL and that the system's resolver parses as addresses.
    #[tokio::test]
    async fn numbers_that_the_system_parses_as_addresses_are_filtered() {
        for name in ["localhost", "2130706433", "0x7f.1", "127.1", "017700000001", "0"] {
            let result = Resolver::new(Resolver::system(), false)
                .call(name.parse().unwrap())
                .await;
            // A resolver that doesn't parse the spelling finds nothing, which is fine too.
            let kind = result.map(|dialled| dialled.count()).unwrap_err().kind();
            assert_ne!(kind, io::ErrorKind::TimedOut, "{name}");
        }
    }
}
