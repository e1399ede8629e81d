//! `listen` of every section: one value or a list. Each value is a TCP address, a Unix socket, or the name of sockets that
//! systemd opened.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Kind;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;

/// The addresses of a listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Listen {
    /// All addresses, at least one.
    pub(crate) addresses: Vec<ListenAddress>,
    /// The permissions of the Unix sockets among them. A process that may write to a socket may connect to it.
    pub(crate) unix_mode: u32,
    /// Whether other processes of the same user may listen at the same TCP addresses.
    pub(crate) reuse_port: bool,
}

impl Listen {
    /// Listens on a single address.
    pub(crate) fn at(address: ListenAddress) -> Self {
        Self {
            addresses: vec![address],
            unix_mode: UNIX_MODE,
            reuse_port: false,
        }
    }

    /// Whether all addresses are loopback addresses. Unix sockets and sockets from systemd don't count as loopback.
    pub(crate) fn is_loopback(&self) -> bool {
        let is_loopback = |address: &ListenAddress| match address {
            ListenAddress::Tcp(address) => address.ip().is_loopback(),
            ListenAddress::Systemd(_) | ListenAddress::Unix(_) => false,
        };
        self.addresses.iter().all(is_loopback)
    }

    /// Reads `listen`, `unix_mode` and `reuse_port`. Returns `None` if `listen` is missing or wrong.
    pub(super) fn read(table: &mut Table<'_>, example: &str) -> Option<Self> {
        table.default("unix_mode", format!("{UNIX_MODE:04o}"));
        let mode = table.take("unix_mode");
        let reuse_port = table.flag("reuse_port", false);
        let item = table.take("listen");
        let addresses = item.map(|item| addresses(item, example)).unwrap_or_default();
        let mut unix_mode = UNIX_MODE;
        if let Some(item) = mode {
            let is_unix = |address: &ListenAddress| matches!(address, ListenAddress::Unix(_));
            if !addresses.iter().any(is_unix) {
                item.place.report("applies to Unix sockets, and listen has none");
            }
            let read = item.parse("permissions as octal digits, such as \"0660\"", |text| {
                u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
            });
            unix_mode = read.unwrap_or(UNIX_MODE);
        }
        if addresses.is_empty() {
            return None;
        }
        Some(Self {
            addresses,
            unix_mode,
            reuse_port,
        })
    }
}

/// One address to listen on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum ListenAddress {
    /// The sockets that systemd passed under this name (`FileDescriptorName=`).
    Systemd(String),
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = "expected an address with a port, unix:PATH or systemd:NAME";
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() && !path.starts_with('@') => Ok(Self::Unix(path.into())),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Systemd(name.to_owned())),
            _ => text.parse().map(Self::Tcp).map_err(|_| error),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Systemd(name) => write!(f, "systemd:{name}"),
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn addresses(item: Item<'_>, example: &str) -> Vec<ListenAddress> {
    let place = item.place.clone();
    let expected = format!("an address with a port, such as \"{example}\", or \"unix:PATH\", or \"systemd:NAME\"");
    let items = item.either(
        Kind::List,
        |item| Vec::from_iter(item.list().into_iter().map(|item| address(item, &expected))),
        |item| vec![address(item, &expected)],
    );
    if items.is_empty() {
        place.report("the list is empty; it needs at least one address");
    }
    if items.len() > MAX_ADDRESSES {
        place.report(format!("more than {MAX_ADDRESSES} addresses"));
    }
    let mut seen = HashSet::new();
    let mut addresses = Vec::new();
    for (place, address) in items.into_iter().take(MAX_ADDRESSES).flatten() {
        let address = match address {
            ListenAddress::Unix(path) => ListenAddress::Unix(place.document().path(&path.to_string_lossy())),
            other => other,
        };
        // With port 0, the system chooses a different port for each address.
        let is_any = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
        if !is_any && !seen.insert(address.clone()) {
            place.report(format!("{address} is listed twice"));
            continue;
        }
        addresses.push(address);
    }
    addresses
}

fn address<'a>(item: Item<'a>, expected: &str) -> Option<(Place<'a>, ListenAddress)> {
    let place = item.place.clone();
    let address = item.parse(expected, |text| text.parse().ok())?;
    Some((place, address))
}

/// Only the gateway's own user may connect.
const UNIX_MODE: u32 = 0o600;
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parsed_and_displayed() {
        for text in [
            "127.0.0.1:8000",
            "[::]:8000",
            "unix:/run/portcullis.sock",
            "unix:here.sock",
            "systemd:https",
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "",
            "8000",
            ":8000",
            "localhost:8000",
            "::8000:",
            "127.0.0.1",
            "127.0.0.1:65536",
            "unix:",
            "unix:@abstract",
            "systemd:",
            "http://127.0.0.1:80",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
