//! The PROXY protocol, versions 1 and 2: what a proxy that passes bytes on says about a connection before its first byte
//! (HAProxy's `proxy-protocol.txt`). It is demanded of the proxies that are configured, and nobody else may connect:
//! whether a connection begins with it is never guessed.

use std::io;
use std::net::SocketAddr;

use metrics::counter;
use ppp::v1;
use ppp::v2;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;

use crate::peer::Peer;
use crate::peer::TrustedProxies;

/// Takes the header off a connection. Returns who is at the other end of the proxy; not a byte after it is read.
///
/// `timeout` is over when the header is late.
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

/// Why a connection is closed unanswered.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The peer is none of the proxies.
    #[error("it is not listed in proxy_protocol")]
    Peer,
    /// The header did not come in time.
    #[error("its PROXY header did not come in time")]
    Late,
    /// The connection broke, or ended in the header.
    #[error("its PROXY header is not whole: {0}")]
    Broken(#[from] io::Error),
    /// It begins with something else.
    #[error("it begins with no PROXY header")]
    Missing,
    /// The line of version 1 is longer than any that a proxy sends, or ends otherwise.
    #[error("its PROXY line doesn't end as it has to")]
    Unended,
    /// The header is larger than any that a proxy sends.
    #[error("its PROXY header is larger than {MAX_V2} bytes")]
    TooLong,
    /// The header is of version 1 and wrong.
    #[error("its PROXY header is malformed: {0}")]
    Text(#[from] v1::BinaryParseError),
    /// The header is of version 2 and wrong.
    #[error("its PROXY header is malformed: {0}")]
    Binary(#[from] v2::ParseError),
    /// It tells of something other than a stream.
    #[error("its PROXY header tells of datagrams")]
    Datagrams,
}

impl Refused {
    /// Writes it down, for an operator who looks for it, and counts it.
    pub fn note(&self, peer: &Peer) {
        tracing::debug!(%peer, why = %self, "a connection was refused");
        let reason = match self {
            Self::Peer => "peer",
            Self::Late => "late",
            _ => "malformed",
        };
        counter!("portcullis_proxy_protocol_refused_total", "reason" => reason).increment(1);
    }
}

/// Reads the header. None: the proxy speaks for itself.
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
    // Its length is not known, and what follows it is for TLS or HTTP.
    while line.last() != Some(&b'\n') && line.len() < MAX_V1 {
        line.push(stream.read_u8().await?);
    }
    // ppp takes a space for the carriage return.
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

fn from(address: std::net::IpAddr, port: u16) -> Peer {
    SocketAddr::new(address, port).into()
}

const V1_PREFIX: &[u8] = b"PROXY ";

/// As many bytes as the signature of version 2 has. The shortest header of version 1 has more.
const SIGNATURE: usize = v2::PROTOCOL_PREFIX.len();

/// The longest header of version 1, by its specification.
const MAX_V1: usize = 107;

/// The longest header of version 2 that is taken. Addresses have 216 bytes at most; the rest is extensions, a client
/// certificate among them.
const MAX_V2: usize = 4096;

#[cfg(test)]
mod tests;
