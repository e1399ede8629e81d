//! The PROXY protocol, versions 1 and 2, by which a TCP proxy describes a connection before its first byte (HAProxy's
//! `proxy-protocol.txt`). The configured proxies must send it and no other client may connect, so the gateway never
//! guesses whether a connection begins with it.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;

use metrics::counter;
use ppp::v1;
use ppp::v2;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;

use crate::peer::Peer;
use crate::peer::TrustedProxies;

/// Reads the header of a connection, and returns the peer that it describes. No byte after the header is read.
///
/// The header must arrive before `timeout` completes.
pub async fn client(
    stream: &mut (impl AsyncRead + Unpin),
    peer: Peer,
    proxies: &TrustedProxies,
    timeout: impl Future<Output = ()>,
) -> Result<Peer, Refused> {
    if !proxies.trust(&peer) {
        return Err(Refused::Peer);
    }
    tokio::select! {
        client = header(stream) => Ok(client?.unwrap_or(peer)),
        () = timeout => Err(Refused::Late),
    }
}

/// The header of version 2 that describes a client's connection to another server. It names no client if its address isn't known
/// (`LOCAL`). A client has port 0, which no rule of a server can depend on.
///
/// # Errors
///
/// Returns an error if the header can't be written.
pub fn of_client(client: Peer, server: SocketAddr) -> io::Result<Vec<u8>> {
    let Some(address) = client.address() else {
        return v2::Builder::with_addresses(
            v2::Version::Two | v2::Command::Local,
            v2::Protocol::Stream,
            v2::Addresses::Unspecified,
        )
        .build();
    };
    // Both have one family. An address of IPv4 is one of IPv6, too (RFC 4291, section 2.5.5.2).
    let (address, server) = match (address, server.ip().to_canonical()) {
        (IpAddr::V4(_), IpAddr::V4(own)) => (address, SocketAddr::new(own.into(), server.port())),
        (IpAddr::V4(address), IpAddr::V6(_)) => (address.to_ipv6_mapped().into(), server),
        (IpAddr::V6(_), IpAddr::V4(own)) => (address, SocketAddr::new(own.to_ipv6_mapped().into(), server.port())),
        (IpAddr::V6(_), IpAddr::V6(_)) => (address, server),
    };
    let ends = (SocketAddr::new(address, 0), server);
    v2::Builder::with_addresses(v2::Version::Two | v2::Command::Proxy, v2::Protocol::Stream, ends).build()
}

/// Why a connection is closed without a response.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The peer is not one of the configured proxies.
    #[error("the peer is not listed in proxy_protocol")]
    Peer,
    /// The header didn't arrive in time.
    #[error("the PROXY header did not arrive in time")]
    Late,
    /// The connection ended before the end of the header.
    #[error("the PROXY header is incomplete: {0}")]
    Broken(#[from] io::Error),
    /// The connection doesn't begin with a header.
    #[error("the connection doesn't begin with a PROXY header")]
    Missing,
    /// The line of version 1 is too long, or doesn't end in CR LF.
    #[error("the PROXY line is too long or doesn't end in CR LF")]
    Unended,
    /// The header of version 2 is too large.
    #[error("the PROXY header is larger than {MAX_V2} bytes")]
    TooLong,
    /// The header of version 1 is malformed.
    #[error("the PROXY header is malformed: {0}")]
    Text(#[from] v1::BinaryParseError),
    /// The header of version 2 is malformed.
    #[error("the PROXY header is malformed: {0}")]
    Binary(#[from] v2::ParseError),
    /// The header describes datagrams instead of a stream.
    #[error("the PROXY header describes datagrams")]
    Datagrams,
}

impl Refused {
    /// Logs the refusal at `debug`, and counts it.
    pub fn note(&self, peer: &Peer) {
        tracing::debug!(%peer, why = %self, "a connection was refused");
        counter!("portcullis_proxy_protocol_refused_total", "reason" => self.label()).increment(1);
    }

    /// A word for a metric label.
    const fn label(&self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Late => "late",
            _ => "malformed",
        }
    }
}

/// Reads the header. `None` if the proxy made the connection for itself (`LOCAL`).
async fn header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Peer>, Refused> {
    let mut signature = [0; SIGNATURE];
    stream.read_exact(&mut signature).await?;
    if signature == *v2::PROTOCOL_PREFIX {
        binary(stream, &signature).await
    } else if signature.starts_with(V1_PREFIX) {
        text(stream, &signature).await.map(Some)
    } else {
        Err(Refused::Missing)
    }
}

async fn text(stream: &mut (impl AsyncRead + Unpin), signature: &[u8]) -> Result<Peer, Refused> {
    let mut line = signature.to_vec();
    // The length isn't known, and the bytes that follow are TLS or HTTP, so the line is read byte by byte.
    while line.last() != Some(&b'\n') && line.len() < MAX_V1 {
        line.push(stream.read_u8().await?);
    }
    // ppp also accepts a space instead of the carriage return.
    if !line.ends_with(v1::PROTOCOL_SUFFIX.as_bytes()) {
        return Err(Refused::Unended);
    }
    let peer = match v1::Header::try_from(line.as_slice())?.addresses {
        v1::Addresses::Tcp4(ends) => from(ends.source_address.into(), ends.source_port),
        v1::Addresses::Tcp6(ends) => from(ends.source_address.into(), ends.source_port),
        v1::Addresses::Unknown => Peer::Unknown,
    };
    Ok(peer)
}

async fn binary(stream: &mut (impl AsyncRead + Unpin), signature: &[u8]) -> Result<Option<Peer>, Refused> {
    let mut rest = [0; 4];
    stream.read_exact(&mut rest).await?;
    let [_, _, length @ ..] = rest;
    let length = usize::from(u16::from_be_bytes(length));
    let mut bytes = [signature, &rest].concat();
    let head = bytes.len();
    if head + length > MAX_V2 {
        return Err(Refused::TooLong);
    }
    bytes.resize(head + length, 0);
    stream.read_exact(bytes.get_mut(head..).unwrap_or_default()).await?;
    let header = v2::Header::try_from(bytes.as_slice())?;
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    if header.protocol == v2::Protocol::Datagram {
        return Err(Refused::Datagrams);
    }
    Ok(Some(match header.addresses {
        v2::Addresses::IPv4(ends) => from(ends.source_address.into(), ends.source_port),
        v2::Addresses::IPv6(ends) => from(ends.source_address.into(), ends.source_port),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => Peer::Unknown,
    }))
}

fn from(address: IpAddr, port: u16) -> Peer {
    SocketAddr::new(address, port).into()
}

const V1_PREFIX: &[u8] = b"PROXY ";

/// The size of the signature of version 2, in bytes. The shortest header of version 1 is longer.
const SIGNATURE: usize = v2::PROTOCOL_PREFIX.len();

/// The size of the longest header of version 1, by its specification.
const MAX_V1: usize = 107;

/// The size of the largest header of version 2 that is accepted. Addresses have at most 216 bytes; the rest are
/// extensions, such as a client certificate.
const MAX_V2: usize = 4096;

#[cfg(test)]
mod tests;
