//! The open sockets of all listeners. A reload opens what is new and keeps what stays, so that no connection is lost; a
//! socket that moves from one listener to another isn't closed either.

use std::sync::Arc;
use std::sync::Weak;

use super::Inherited;
use super::Socket;
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
                Some(known) => groups.push(Group {
                    unix_mode: listen.unix_mode,
                    ..known
                }),
                None => missing.push((listener, address, listen)),
            }
        }
        for (listener, address, listen) in missing {
            // Another listener doesn't want it any more.
            let freed = left
                .iter()
                .position(|group| group.address == *address && !is_any_port(address));
            let sockets = match freed.map(|index| left.swap_remove(index)) {
                Some(freed) => freed.sockets,
                None => {
                    let sockets = Socket::bind(address, listen, &self.inherited)?;
                    sockets.into_iter().map(Arc::new).collect()
                }
            };
            groups.push(Group {
                listener,
                address: address.clone(),
                unix_mode: listen.unix_mode,
                sockets,
            });
        }
        Ok(Opened(groups))
    }

    /// Takes up the sockets of a configuration.
    pub(crate) fn keep(&mut self, opened: &Opened) {
        for group in &opened.0 {
            let before = self.groups.iter().find(|before| before.address == group.address);
            if before.is_some_and(|before| before.unix_mode != group.unix_mode) {
                for socket in &group.sockets {
                    socket.set_mode(group.unix_mode);
                }
            }
        }
        let groups = opened
            .0
            .iter()
            .map(|group| group.with(|socket| Some(Arc::downgrade(socket))));
        self.groups = groups.collect();
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
            sockets: self.sockets.iter().filter_map(handle).collect(),
        }
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
