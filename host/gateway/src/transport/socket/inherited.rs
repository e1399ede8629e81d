//! Sockets that systemd opened and passed to the gateway by name (sd_listen_fds(3)). Their queues outlive the gateway,
//! so that a restart loses no connections.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::transport::socket::Socket;

/// Inherited sockets that no listener has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(String, InheritedSocket)>);

#[derive(Debug)]
enum InheritedSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
    Unusable(io::Error),
}

impl Inherited {
    /// Takes the sockets that were passed to this process. Call it once, before any thread starts: it changes the
    /// environment, so that no child process mistakes the sockets for its own.
    pub(crate) fn of_process() -> Self {
        // listenfd would also take sockets for a parent process that didn't clear the variable.
        let is_ours = |pid: String| pid.parse() == Ok(process::id());
        if !env::var("LISTEN_PID").is_ok_and(is_ours) {
            return Self::default();
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').filter(|_| !names.is_empty());
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|index| {
            let name = names.next().unwrap_or(UNNAMED).to_owned();
            (name, InheritedSocket::take(&mut passed, index))
        });
        Self(sockets.collect())
    }

    /// Takes the sockets with a name. A socket unit may open several.
    pub(super) fn take(&mut self, name: &str) -> io::Result<Vec<Socket>> {
        let named = self.0.extract_if(.., |(other, _)| other == name);
        let sockets = named
            .map(|(_, passed)| match passed {
                InheritedSocket::Tcp(listener) => Socket::tcp(listener, true),
                InheritedSocket::Unix(listener) => Socket::unix(listener, None),
                InheritedSocket::Unusable(error) => Err(error),
            })
            .collect::<io::Result<Vec<_>>>()?;
        if !sockets.is_empty() {
            return Ok(sockets);
        }
        let others = self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        let others = match others.as_slice() {
            [] => "passed no socket at all: start the gateway by its socket unit".to_owned(),
            names => format!("passed others: {}", names.join(", ")),
        };
        Err(io::Error::other(format!(
            "systemd passed no socket of that name, it {others}"
        )))
    }

    /// Warns about sockets that no listener has taken: a client that connects to one waits for ever.
    pub(crate) fn warn_about_unused(&self) {
        for (name, _) in &self.0 {
            tracing::warn!(name, "systemd passed a socket that no listen names");
        }
    }
}

impl InheritedSocket {
    fn take(passed: &mut ListenFd, index: usize) -> Self {
        let socket = match passed.take_tcp_listener(index) {
            Ok(Some(listener)) => Ok(Self::Tcp(listener)),
            _ => match passed.take_unix_listener(index) {
                Ok(Some(listener)) => Ok(Self::Unix(listener)),
                Ok(None) => Err(io::ErrorKind::NotFound.into()),
                Err(error) => Err(error),
            },
        };
        match socket {
            Ok(socket) if socket.listens() => socket,
            Ok(_) => Self::Unusable(io::Error::other("it isn't listening: Accept=no is needed")),
            Err(_) => Self::Unusable(io::Error::other("it is no stream socket: use ListenStream=")),
        }
    }

    fn listens(&self) -> bool {
        let listens = match self {
            Self::Tcp(listener) => SockRef::from(listener).is_listener(),
            Self::Unix(listener) => SockRef::from(listener).is_listener(),
            Self::Unusable(_) => Ok(false),
        };
        listens.unwrap_or_default()
    }
}

/// What sd_listen_fds_with_names(3) calls a socket that was passed without a name.
const UNNAMED: &str = "unknown";
