//! The addresses behind the name of a server. Each address is a server of its own, and the name is looked up again from
//! time to time, so that a service that moves or grows is followed without a restart.

use std::future;
use std::future::Ready;
use std::io;
use std::net::SocketAddr;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::vec;

use futures_util::future::Either;
use http::uri::Authority;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// The addresses of one server, which are tried in order. A server of two protocol families has one of each.
pub(super) type Addresses = Vec<SocketAddr>;

/// Looks up the servers behind a name, in a fixed order.
pub(super) async fn lookup(authority: &Authority, default_port: u16) -> io::Result<Vec<Addresses>> {
    let port = authority.port_u16().unwrap_or(default_port);
    let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((authority.host(), port)));
    let found = found.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(servers(found))
}

/// Pairs the addresses of both families. Usually both belong to the same machine, which may serve only one of them.
fn servers(found: impl IntoIterator<Item = SocketAddr>) -> Vec<Addresses> {
    let mut found = Vec::from_iter(found);
    found.sort_unstable();
    found.dedup();
    let (v4, v6): (Addresses, Addresses) = found.into_iter().partition(SocketAddr::is_ipv4);
    let count = v4.len().max(v6.len()).min(MAX_SERVERS);
    let pair = |index| v4.get(index).into_iter().chain(v6.get(index)).copied().collect();
    (0..count).map(pair).collect()
}

/// Resolves a server's name to the addresses that are known for it, or by the system.
#[derive(Clone)]
pub(super) enum Resolver {
    Known(Addresses),
    System(GaiResolver),
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Either<Ready<io::Result<Self::Response>>, BySystem>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        match self {
            Self::Known(addresses) => Either::Left(future::ready(Ok(addresses.clone().into_iter()))),
            Self::System(resolver) => {
                let found = resolver.call(name);
                Either::Right(Box::pin(async move { Ok(Vec::from_iter(found.await?).into_iter()) }))
            }
        }
    }
}

type BySystem = std::pin::Pin<Box<dyn Future<Output = io::Result<vec::IntoIter<SocketAddr>>> + Send>>;

/// How long a lookup may take. The last addresses stay in use meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many servers a name may stand for.
const MAX_SERVERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_one_server() {
        for (found, expected) in [
            (&[][..], &[][..]),
            (&["10.0.0.1:80"], &[&["10.0.0.1:80"][..]]),
            (&["[::1]:80", "127.0.0.1:80"], &[&["127.0.0.1:80", "[::1]:80"]]),
            (
                &["10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80"],
                &[&["10.0.0.1:80"], &["10.0.0.2:80"]],
            ),
            (
                &["10.0.0.2:80", "[fd::1]:80", "10.0.0.1:80"],
                &[&["10.0.0.1:80", "[fd::1]:80"], &["10.0.0.2:80"]],
            ),
            (&["[fd::2]:80", "[fd::1]:80"], &[&["[fd::1]:80"], &["[fd::2]:80"]]),
        ] {
            let parse = |text: &&str| text.parse::<SocketAddr>().unwrap();
            let expected = Vec::from_iter(expected.iter().map(|server| Vec::from_iter(server.iter().map(parse))));
            assert_eq!(servers(found.iter().map(parse)), expected, "{found:?}");
        }
        let many = (0..1000).map(|n| SocketAddr::from(([10, 0, (n / 256) as u8, (n % 256) as u8], 80)));
        assert_eq!(servers(many).len(), MAX_SERVERS);
    }
}
