//! Sockets that systemd opened and passed to the gateway by name (sd_listen_fds(3)). Their queues outlive the gateway,
//! so that a restart loses no connections.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::transport::socket::Socket;

/// The sockets that systemd passed. They stay open, so that a listener that gives one up can take it again later.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<NamedSocket>);

#[derive(Debug)]
struct NamedSocket {
    name: String,
    socket: InheritedSocket,
    is_taken: AtomicBool,
}

#[derive(Debug)]
enum InheritedSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// Why no listener can use it.
    Unusable(&'static str),
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
            NamedSocket {
                name,
                socket: InheritedSocket::take(&mut passed, index),
                is_taken: AtomicBool::new(false),
            }
        });
        Self(sockets.collect())
    }

    /// Takes the sockets with a name. A socket unit may open several.
    pub(super) fn take(&self, name: &str) -> io::Result<Vec<Socket>> {
        let named = self.0.iter().filter(|passed| passed.name == name);
        let sockets = named
            .map(|passed| {
                passed.is_taken.store(true, Ordering::Relaxed);
                match &passed.socket {
                    InheritedSocket::Tcp(listener) => Socket::tcp(listener.try_clone()?, true),
                    InheritedSocket::Unix(listener) => Socket::unix(listener.try_clone()?, None),
                    InheritedSocket::Unusable(why) => Err(io::Error::other(*why)),
                }
            })
            .collect::<io::Result<Vec<_>>>()?;
        if !sockets.is_empty() {
            return Ok(sockets);
        }
        let others = self.0.iter().map(|passed| passed.name.as_str()).collect::<Vec<_>>();
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
        let unused = self.0.iter().filter(|passed| !passed.is_taken.load(Ordering::Relaxed));
        for NamedSocket { name, .. } in unused {
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
            Ok(_) => Self::Unusable("it isn't listening: Accept=no is needed"),
            Err(_) => Self::Unusable("it is no stream socket: use ListenStream="),
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
