//! TCP sockets. `[::]` also accepts IPv4, unless the same list has an IPv4 address with that port. This doesn't depend
//! on the setting of the system.

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;

use crate::config::Listen;
use crate::config::ListenAddress;
use crate::transport::socket::BACKLOG;

/// Listens at one address of a list.
pub(super) fn listen(address: SocketAddr, list: &Listen) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets the gateway restart while old connections are in TIME_WAIT. A second listener still gets an error.
    socket.set_reuse_address(true)?;
    // The system then shares the connections among the processes. A process of another user still gets an error.
    socket.set_reuse_port(list.reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(!accepts_ipv4(&ListenAddress::Tcp(address), list))?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether a socket at one address of a list is for all addresses of IPv6 and of IPv4.
pub(super) fn accepts_ipv4(address: &ListenAddress, list: &Listen) -> bool {
    let ListenAddress::Tcp(address) = address else {
        return false;
    };
    let is_ipv4_of_port = |other: &ListenAddress| matches!(other, ListenAddress::Tcp(other) if other.is_ipv4() && other.port() == address.port() && other.port() != 0);
    address.is_ipv6() && address.ip().is_unspecified() && !list.addresses.iter().any(is_ipv4_of_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unspecified_ipv6_address_accepts_ipv4_unless_another_address_does() {
        for (address, others, expected) in [
            ("[::]:80", &["[::]:80"][..], true),
            ("[::]:80", &["[::]:80", "0.0.0.0:80"], false),
            ("[::]:80", &["127.0.0.1:80", "[::]:80"], false),
            ("[::]:80", &["[::]:80", "0.0.0.0:81"], true),
            ("[::]:0", &["[::]:0", "0.0.0.0:0"], true),
            ("[::1]:80", &["[::1]:80"], false),
        ] {
            let list = Listen {
                addresses: others.iter().map(|other| other.parse().unwrap()).collect(),
                unix_mode: 0,
                reuse_port: false,
            };
            assert_eq!(
                accepts_ipv4(&address.parse().unwrap(), &list),
                expected,
                "{address} {others:?}"
            );
        }
    }
}
