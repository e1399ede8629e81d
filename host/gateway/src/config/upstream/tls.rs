//! The keys of `[upstreams.NAME]` for https: the trusted authorities, the expected name, and the gateway's own certificate.
//! It is an error to set them for servers without https.

use std::sync::Arc;

use portcullis_loader::config::pem;
use portcullis_loader::config::reader::Table;
use portcullis_loader::tls::pem::trusted;
use portcullis_loader::tls::trust;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::SystemRoots;

/// The TLS settings for the servers of an upstream.
#[derive(Default)]
pub(super) struct UpstreamTls {
    /// `None` for plain text, or if there is a mistake.
    pub(super) config: Option<Arc<ClientConfig>>,
    /// The name for which certificates must be valid. `None` for the host of each server.
    pub(super) name: Option<ServerName<'static>>,
}

pub(super) fn read(table: &mut Table<'_>, is_https: bool, roots: &SystemRoots) -> UpstreamTls {
    let place = table.place.clone();
    let before = place.document().error_count();
    if !is_https && !table.is_blank() {
        for item in ["ca", "certificate", "key", "server_name"]
            .into_iter()
            .filter_map(|key| table.take(key))
        {
            item.place.report("applies only to servers with https");
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
    let authorities = table.take("ca").map(|item| pem::file(item, trusted));
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
