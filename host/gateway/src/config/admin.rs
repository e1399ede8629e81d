//! `[admin]`: the listener for whoever runs the gateway.

use std::net::SocketAddr;

use crate::config::reader::Table;

/// The listener for metrics and health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminConfig {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
}

impl AdminConfig {
    /// None when the address is missing or wrong.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let listen = table.require("listen").and_then(|item| {
            item.parse("an address with a port, such as \"127.0.0.1:9090\"", |text| {
                text.parse().ok()
            })
        });
        table.finish();
        Some(Self { listen: listen? })
    }
}
