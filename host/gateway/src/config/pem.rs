//! Keys that name PEM files: a certificate with its key, or authorities.

use std::path::Path;

use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::tls::pem::certificates;
use crate::tls::pem::private_key;
use crate::tls::trust::ClientIdentity;

/// The items of a certificate and of its key, by their names. Neither makes sense alone: none also where one is missing,
/// which is reported.
pub(super) fn pair<'a>(
    table: &mut Table<'a>,
    certificate: &'static str,
    key: &'static str,
) -> Option<(Item<'a>, Item<'a>)> {
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

/// What the files hold that name a client's certificate and key.
pub(super) fn identity((certificate, key): (Item<'_>, Item<'_>)) -> Option<ClientIdentity> {
    let (certificates, key) = (file(certificate, certificates), file(key, private_key));
    Some((certificates?, key?))
}

/// What a file holds that a value names.
pub(super) fn file<T>(item: Item<'_>, read: impl FnOnce(&Path) -> Result<T, String>) -> Option<T> {
    let place = item.place.clone();
    let path = place.document().path(&item.text()?);
    read(&path).map_err(|message| place.report(message)).ok()
}
