//! Reads keys whose values are PEM files: a certificate with its private key, or certificate authorities. A certificate and
//! its key must be set together.

use std::path::Path;

use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::tls::pem::certificates;
use crate::tls::pem::private_key;
use crate::tls::trust::ClientIdentity;

/// Takes the items of a certificate and of its key. Returns `None` if both are missing, or if one is, which is an error.
pub fn pair<'a>(table: &mut Table<'a>, certificate: &'static str, key: &'static str) -> Option<(Item<'a>, Item<'a>)> {
    match (table.take(certificate), table.take(key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(item), None) => {
            item.place.report(format!("needs its key: set {key}"));
            None
        }
        (None, Some(item)) => {
            item.place.report(format!("needs its certificate: set {certificate}"));
            None
        }
        (None, None) => None,
    }
}

/// Loads a client's certificate and key from the files that the items name.
pub fn identity((certificate, key): (Item<'_>, Item<'_>)) -> Option<ClientIdentity> {
    let (certificates, key) = (file(certificate, certificates), file(key, private_key));
    Some((certificates?, key?))
}

/// Loads the file that an item names.
pub fn file<T>(item: Item<'_>, read: impl FnOnce(&Path) -> Result<T, String>) -> Option<T> {
    let place = item.place.clone();
    let path = place.document().file(&item.text()?);
    read(&path).map_err(|message| place.report(message)).ok()
}
