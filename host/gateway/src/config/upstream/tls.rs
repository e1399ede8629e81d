//! The keys of `[upstreams.NAME]` for https: whom the gateway trusts there, and who it is.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::SystemRoots;
use crate::config::pem;
use crate::config::reader::Table;
use crate::tls::pem::authorities;
use crate::tls::trust;

/// TLS towards the servers of one upstream.
#[derive(Default)]
pub(super) struct UpstreamTls {
    /// None: plain text, or something is wrong.
    pub(super) config: Option<Arc<ClientConfig>>,
    /// The name that certificates must be for; none: each server's host.
    pub(super) name: Option<ServerName<'static>>,
}

pub(super) fn read(table: &mut Table<'_>, is_https: bool, roots: &SystemRoots) -> UpstreamTls {
    let place = table.place.clone();
    let before = place.document().error_count();
    if !is_https {
        for item in ["ca", "certificate", "key", "server_name"]
            .into_iter()
            .filter_map(|key| table.take(key))
        {
            item.place.report("is for servers that speak https");
        }
        return UpstreamTls::default();
    }
    let name = table.take("server_name").and_then(|item| {
        item.parse("the name of a host, such as \"hub.example\"", |text| {
            ServerName::try_from(text.to_owned()).ok()
        })
    });
    let pair = pem::pair(table, "certificate", "key");
    let key_place = pair.as_ref().map(|(_, key)| key.place.clone());
    let identity = pair.and_then(pem::identity);
    let authorities = table.take("ca").map(|item| pem::file(item, authorities));
    if place.document().error_count() > before {
        return UpstreamTls::default();
    }
    let authorities = authorities.flatten().unwrap_or_else(|| roots.get());
    let config = trust::client(authorities, identity).map_err(|error| {
        let place = key_place.unwrap_or(place);
        place.report(format!("can't be used with the certificate: {error}"));
    });
    UpstreamTls {
        config: config.ok().map(Arc::new),
        name,
    }
}
