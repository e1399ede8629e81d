//! Listening sockets, over TCP or in the file system, opened by the gateway or by systemd. All of them accept
//! connections as one type of stream, together with the address of the peer.

mod file;
mod inherited;
mod open;
mod tcp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_wire::peer::Peer;
use socket2::SockRef;
use socket2::TcpKeepalive;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio_util::either::Either;

use self::file::SocketFile;
use crate::config::Listen;
use crate::config::ListenAddress;
use crate::transport::ServeError;

pub(crate) use self::inherited::Inherited;
pub(crate) use self::open::OpenSockets;
pub(crate) use self::open::Opened;

/// An accepted connection.
pub(crate) type Stream = Either<TcpStream, UnixStream>;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: Listener,
    /// Whether another process has the socket too, and continues to listen after the gateway closes it.
    is_shared: bool,
    address: BoundAddress,
    /// Its file, which is removed on drop. `None` for a TCP socket, and for one that systemd opened.
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The address of a listening socket, with the port that the system chose.
#[derive(Clone, Debug)]
pub(crate) enum BoundAddress {
    Tcp(SocketAddr),
    Unix(String),
}

impl Socket {
    /// Binds every address of the list, or none. For port 0 the system chooses a port.
    pub(crate) fn bind_all(listen: &Listen, inherited: &Inherited) -> Result<Vec<Self>, ServeError> {
        let mut sockets = Vec::new();
        for address in &listen.addresses {
            sockets.extend(Self::bind(address, listen, inherited)?);
        }
        Ok(sockets)
    }

    /// Binds one address of the list. Systemd may have passed several sockets under one name.
    fn bind(address: &ListenAddress, listen: &Listen, inherited: &Inherited) -> Result<Vec<Self>, ServeError> {
        let bound = match address {
            ListenAddress::Systemd(name) => inherited.take(name),
            ListenAddress::Tcp(socket) => tcp::listen(*socket, listen)
                .and_then(|listener| Self::tcp(listener, false))
                .map(|socket| vec![socket]),
            ListenAddress::Unix(path) => SocketFile::listen(path, listen.unix_mode)
                .and_then(|(listener, file)| Self::unix(listener, Some(file)))
                .map(|socket| vec![socket]),
        };
        bound.map_err(|source| ServeError::Listen {
            address: address.clone(),
            source,
        })
    }

    /// The address of the socket.
    pub(crate) const fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// Accepts the next connection.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Either::Left(stream), address.into()))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), Peer::Unix))
            }
        }
    }

    /// Accepts the connections that are waiting in the queue of the system. They would be reset when the socket is dropped.
    /// Those of a shared socket stay in the queue for the next process that listens.
    pub(crate) fn waiting(&self) -> Vec<(Stream, Peer)> {
        if self.is_shared {
            return Vec::new();
        }
        let waiting = match &self.listener {
            Listener::Tcp(listener) => waiting_tcp(listener),
            Listener::Unix(listener) => waiting_unix(listener),
        };
        waiting.unwrap_or_default()
    }

    /// Changes the mode of its file. This does nothing to a socket without one.
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.set_mode(mode))
    }

    fn tcp(listener: std::net::TcpListener, is_shared: bool) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self {
            is_shared,
            address: BoundAddress::Tcp(listener.local_addr()?),
            listener: Listener::Tcp(listener),
            file: None,
        })
    }

    /// `file` is `None` if systemd opened the socket and removes the file.
    fn unix(listener: std::os::unix::net::UnixListener, file: Option<SocketFile>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let path = listener.local_addr()?;
        let path = path.as_pathname().map(|path| path.display().to_string());
        Ok(Self {
            is_shared: file.is_none(),
            address: BoundAddress::Unix(path.unwrap_or_default()),
            listener: Listener::Unix(listener),
            file,
        })
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Sends small writes at once, and detects a peer that vanished, so that its slot becomes free.
pub(crate) fn tune(stream: &Stream) -> io::Result<()> {
    match stream {
        Either::Left(stream) => tune_tcp(stream),
        Either::Right(_) => Ok(()),
    }
}

/// The same for a TCP connection.
pub(crate) fn tune_tcp(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// Not by tokio, which may not know yet that connections are waiting.
fn waiting_tcp(listener: &TcpListener) -> io::Result<Vec<(Stream, Peer)>> {
    let mut waiting = Vec::new();
    while let Ok((stream, address)) = SockRef::from(listener).accept() {
        let Some(address) = address.as_socket() else { continue };
        stream.set_nonblocking(true)?;
        waiting.push((Either::Left(TcpStream::from_std(stream.into())?), address.into()));
    }
    Ok(waiting)
}

fn waiting_unix(listener: &UnixListener) -> io::Result<Vec<(Stream, Peer)>> {
    let mut waiting = Vec::new();
    while let Ok((stream, _)) = SockRef::from(listener).accept() {
        stream.set_nonblocking(true)?;
        waiting.push((Either::Right(UnixStream::from_std(stream.into())?), Peer::Unix));
    }
    Ok(waiting)
}

/// How many connections the system queues for a socket.
const BACKLOG: i32 = 1024;
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
