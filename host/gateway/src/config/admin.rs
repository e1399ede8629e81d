//! `[admin]`: the operator's listener, for metrics, health, reloads and revocations. Without the section there is no such listener.

use portcullis_loader::config::reader::Table;

use crate::config::Listen;
use crate::config::Token;

/// The settings of the admin listener.
#[derive(Clone, Debug)]
pub(crate) struct AdminConfig {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// What a request that revokes something must show. `None` if nothing can be revoked through this listener.
    pub(crate) token: Option<Token>,
}

impl AdminConfig {
    /// Returns `None` if `listen` is missing or wrong.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let before = table.place.document().error_count();
        let listen = Listen::read(&mut table, "127.0.0.1:9180");
        if listen.is_none() && table.place.document().error_count() == before {
            table.place.report("the key \"listen\" is missing");
        }
        let token = table.take("token").and_then(Token::read);
        table.finish();
        Some(Self { listen: listen?, token })
    }
}
