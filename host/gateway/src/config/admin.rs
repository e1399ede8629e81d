//! `[admin]`: the listener for whoever runs the gateway.

use crate::config::Listen;
use crate::config::reader::Table;

/// The listener for metrics and health.
#[derive(Clone, Debug)]
pub(crate) struct AdminConfig {
    /// Where it listens.
    pub(crate) listen: Listen,
}

impl AdminConfig {
    /// None when the address is missing or wrong.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let before = table.place.document().error_count();
        let listen = Listen::read(&mut table, "127.0.0.1:9090");
        if listen.is_none() && table.place.document().error_count() == before {
            table.place.report("the key \"listen\" is missing");
        }
        table.finish();
        Some(Self { listen: listen? })
    }
}
