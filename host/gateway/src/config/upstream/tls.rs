//! The keys of `[upstreams.NAME]` for https: whom the gateway trusts there, and who it is.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::SystemRoots;
use crate::config::pem;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::trust;
use crate::trust::ClientIdentity;

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
    let [ca, certificate, key, name] = ["ca", "certificate", "key", "server_name"].map(|key| table.take(key));
    if !is_https {
        for item in [ca, certificate, key, name].into_iter().flatten() {
            item.place.report("is for servers that speak https");
        }
        return UpstreamTls::default();
    }
    let name = name.and_then(|item| {
        item.parse("the name of a host, such as \"hub.example\"", |text| {
            ServerName::try_from(text.to_owned()).ok()
        })
    });
    let key_place = key.as_ref().map(|key| key.place.clone());
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => identity(certificate, key),
        (Some(lonely), None) => {
            lonely.place.report("needs its key: set key");
            None
        }
        (None, Some(lonely)) => {
            lonely.place.report("needs its certificate: set certificate");
            None
        }
        (None, None) => None,
    };
    let authorities = ca.map(|item| file(item, pem::authorities));
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

fn identity(certificate: Item<'_>, key: Item<'_>) -> Option<ClientIdentity> {
    let (certificates, key) = (file(certificate, pem::certificates), file(key, pem::private_key));
    Some((certificates?, key?))
}

/// What a file holds that a value names.
fn file<T>(item: Item<'_>, read: impl FnOnce(&Path) -> Result<T, String>) -> Option<T> {
    let place = item.place.clone();
    let path = place.document().path(&item.text()?);
    read(&path).map_err(|message| place.report(message)).ok()
}
