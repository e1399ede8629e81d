//! The open sockets of all listeners. A reload opens what is new and keeps what stays, so that no connection is lost; a
//! socket that moves from one listener to another isn't closed either.

use std::io;
use std::sync::Arc;
use std::sync::Weak;

use super::BoundAddress;
use super::Inherited;
use super::Socket;
use super::tcp;
use crate::config::Listen;
use crate::config::ListenAddress;
use crate::transport::ServeError;

/// The sockets of all listeners. The listeners own them, and close those that a reload takes away.
#[derive(Debug, Default)]
pub(crate) struct OpenSockets {
    groups: Vec<Group<Weak<Socket>>>,
    inherited: Inherited,
}

/// The sockets of one address. Systemd may have passed several under one name.
#[derive(Clone, Debug)]
struct Group<S> {
    listener: &'static str,
    address: ListenAddress,
    unix_mode: u32,
    /// Whether a socket for all IPv6 addresses is for those of IPv4, too.
    accepts_ipv4: bool,
    sockets: Vec<S>,
}

/// The sockets of a configuration that isn't in use yet. The new ones among them are closed again if this is dropped.
#[derive(Debug)]
pub(crate) struct Opened(Vec<Group<Arc<Socket>>>);

impl OpenSockets {
    /// No sockets yet. `inherited` are those that systemd passed.
    pub(crate) fn new(inherited: Inherited) -> Self {
        Self {
            groups: Vec::new(),
            inherited,
        }
    }

    /// Opens all sockets of these listeners, or none. For port 0 the system chooses a port.
    pub(crate) fn open(&self, wanted: &[(&'static str, &Listen)]) -> Result<Opened, ServeError> {
        let mut left = Vec::from_iter(self.groups.iter().map(|group| group.with(Weak::upgrade)));
        let wanted = wanted.iter().flat_map(|(listener, listen)| {
            let addresses = listen.addresses.iter();
            addresses.map(|address| (*listener, address, *listen))
        });
        let mut groups = Vec::new();
        let mut missing = Vec::new();
        for (listener, address, listen) in wanted {
            let known = left
                .iter()
                .position(|group| group.listener == listener && group.address == *address);
            match known.map(|index| left.swap_remove(index)) {
                Some(known) => groups.push(known.follow(listen)?),
                None => missing.push((listener, address, listen)),
            }
        }
        for (listener, address, listen) in missing {
            // Another listener doesn't want it any more.
            let freed = left
                .iter()
                .position(|group| group.address == *address && !is_any_port(address));
            let group = match freed.map(|index| left.swap_remove(index)) {
                Some(freed) => freed.follow(listen)?,
                None => {
                    let sockets = Socket::bind(address, listen, &self.inherited);
                    let sockets = sockets.map_err(|error| self.explain(address, error))?;
                    Group {
                        listener,
                        address: address.clone(),
                        unix_mode: listen.unix_mode,
                        accepts_ipv4: tcp::accepts_ipv4(address, listen),
                        sockets: sockets.into_iter().map(Arc::new).collect(),
                    }
                }
            };
            groups.push(Group { listener, ..group });
        }
        Ok(Opened(groups))
    }

    /// Says so if the address is taken by this process itself, which `ss` would show as another one.
    fn explain(&self, address: &ListenAddress, error: ServeError) -> ServeError {
        let port = |address: &ListenAddress| match address {
            ListenAddress::Tcp(address) => Some(address.port()),
            ListenAddress::Systemd(_) | ListenAddress::Unix(_) => None,
        };
        let mut own = self.groups.iter().map(|group| &group.address);
        let overlapping = own.find(|own| port(own).is_some() && port(own) == port(address));
        match (overlapping, &error) {
            (Some(own), ServeError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
                ServeError::NeedsRestart {
                    address: address.clone(),
                    why: format!("the gateway itself listens on {own}"),
                }
            }
            _ => error,
        }
    }

    /// Takes up the sockets of a configuration. Returns the addresses at which nothing listens any more.
    pub(crate) fn keep(&mut self, opened: &Opened) -> Vec<BoundAddress> {
        let before = self
            .groups
            .iter()
            .flat_map(|group| &group.sockets)
            .filter_map(Weak::upgrade);
        let is_gone = |socket: &Arc<Socket>| {
            let mut kept = opened.0.iter().flat_map(|group| &group.sockets);
            !kept.any(|kept| Arc::ptr_eq(kept, socket))
        };
        let gone = before.filter(is_gone).map(|socket| socket.address().clone()).collect();
        let groups = opened
            .0
            .iter()
            .map(|group| group.with(|socket| Some(Arc::downgrade(socket))));
        self.groups = groups.collect();
        gone
    }

    /// Whether a listener has this socket.
    pub(crate) fn has(&self, listener: &str, socket: &Arc<Socket>) -> bool {
        let groups = self.groups.iter().filter(|group| group.listener == listener);
        let mut sockets = groups.flat_map(|group| &group.sockets);
        sockets.any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(socket)))
    }

    /// Warns about sockets of systemd that no listener has taken: a client that connects to one waits for ever.
    pub(crate) fn warn_about_unused(&self) {
        self.inherited.warn_about_unused();
    }
}

impl<S> Group<S> {
    /// The same group with other handles of its sockets.
    fn with<T>(&self, handle: impl Fn(&S) -> Option<T>) -> Group<T> {
        Group {
            listener: self.listener,
            address: self.address.clone(),
            unix_mode: self.unix_mode,
            accepts_ipv4: self.accepts_ipv4,
            sockets: self.sockets.iter().filter_map(handle).collect(),
        }
    }
}

impl Group<Arc<Socket>> {
    /// Changes what a configuration wants of sockets that stay open.
    fn follow(self, listen: &Listen) -> Result<Self, ServeError> {
        if self.accepts_ipv4 != tcp::accepts_ipv4(&self.address, listen) {
            return Err(ServeError::NeedsRestart {
                why: "whether it is for IPv4, too, depends on the other addresses, and is decided when it is opened"
                    .to_owned(),
                address: self.address,
            });
        }
        if self.unix_mode != listen.unix_mode {
            for socket in &self.sockets {
                socket.set_mode(listen.unix_mode).map_err(|source| ServeError::Listen {
                    address: self.address.clone(),
                    source,
                })?;
            }
        }
        Ok(Self {
            unix_mode: listen.unix_mode,
            ..self
        })
    }
}

impl Opened {
    /// The sockets of a listener, in the order of its addresses.
    pub(crate) fn of(&self, listener: &str) -> Vec<Arc<Socket>> {
        let groups = self.0.iter().filter(|group| group.listener == listener);
        groups.flat_map(|group| group.sockets.iter().cloned()).collect()
    }
}

/// Whether the system chooses the port, so that two such addresses aren't the same.
fn is_any_port(address: &ListenAddress) -> bool {
    matches!(address, ListenAddress::Tcp(address) if address.port() == 0)
}
