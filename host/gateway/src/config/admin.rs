//! `[admin]`: the operator's listener, for metrics and health. Without the section there is no such listener.

use portcullis_loader::config::reader::Table;

use crate::config::Listen;

/// The settings of the admin listener.
#[derive(Clone, Debug)]
pub(crate) struct AdminConfig {
    /// Where to listen.
    pub(crate) listen: Listen,
}

impl AdminConfig {
    /// Returns `None` if `listen` is missing or wrong.
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
