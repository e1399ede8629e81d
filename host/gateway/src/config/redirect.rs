//! `[server.redirect]`: the listener that leads clients from plain HTTP to https.

use crate::config::Listen;
use crate::config::reader::Table;

/// A listener for plain HTTP that answers nothing but where https is.
#[derive(Clone, Debug)]
pub(crate) struct RedirectConfig {
    /// Where it listens.
    pub(crate) listen: Listen,
    /// The port of https as clients see it; none: the one that the public listener has.
    pub(crate) https_port: Option<u16>,
}

impl RedirectConfig {
    /// None when anything in it is wrong. `has_tls`: whether the public listener speaks https.
    pub(super) fn read(mut table: Table<'_>, has_tls: bool) -> Option<Self> {
        let place = table.place.clone();
        let before = place.document().error_count();
        let listen = Listen::read(&mut table, "0.0.0.0:80");
        if listen.is_none() && place.document().error_count() == before {
            place.report("the key \"listen\" is missing");
        }
        let https_port = table.take("https_port");
        if !has_tls && https_port.is_none() {
            place
                .report("there is no https to lead to: set server.tls, or https_port where a proxy in front speaks it");
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
