//! `[server.redirect]`: the listener that redirects plain HTTP to https. It needs TLS on the public listener, or the port of
//! https.

use portcullis_loader::config::reader::Table;

use crate::config::Listen;

/// The settings of the listener that redirects plain HTTP to https.
#[derive(Clone, Debug)]
pub(crate) struct RedirectConfig {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// The port at which clients reach https. `None` for the port of the public listener.
    pub(crate) https_port: Option<u16>,
}

impl RedirectConfig {
    /// Returns `None` if `listen` is missing or wrong. `has_tls` is whether the public listener has TLS.
    pub(super) fn read(mut table: Table<'_>, has_tls: bool) -> Option<Self> {
        let place = table.place.clone();
        let before = place.document().error_count();
        let listen = Listen::read(&mut table, "0.0.0.0:80");
        if listen.is_none() && place.document().error_count() == before {
            place.report("the key \"listen\" is missing");
        }
        let https_port = table.take("https_port");
        if !has_tls && https_port.is_none() {
            place.report(
                "there is no https to redirect to: set server.tls, or https_port if a proxy in front serves it",
            );
        }
        let https_port = https_port
            .and_then(|item| item.number(1, usize::from(u16::MAX)))
            .and_then(|port| u16::try_from(port).ok());
        table.finish();
        Some(Self {
            listen: listen?,
            https_port,
        })
    }
}
