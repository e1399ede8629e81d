//! `trust`: the keys of the vendors whose components may run. An entry is a key, or `file:PATH` for a file of one.

use std::path::Path;
use std::sync::Arc;

use crate::config::reader::Item;
use crate::config::values;
use crate::files::read_guarded;
use crate::signature::MAX_SIGNATURE;
use crate::signature::TrustedKey;
use crate::signature::TrustedKeys;

/// The maximum number of keys in a list.
const MAX_KEYS: usize = 64;

/// Reads the list. An entry with a mistake is reported and left out, so that a mistake adds no trusted key.
pub fn read(item: Item<'_>) -> Arc<TrustedKeys> {
    let place = item.place.clone();
    let before = place.document().error_count();
    let keys = Vec::from_iter(values::each(Some(item), key));
    if keys.is_empty() && place.document().error_count() == before {
        place.report("is empty: name a key, or leave it out to accept every component");
    }
    if keys.len() > MAX_KEYS {
        place.report(format!("more than {MAX_KEYS} keys"));
    }
    Arc::new(keys.into_iter().collect())
}

fn key(item: Item<'_>) -> Option<TrustedKey> {
    let place = item.place.clone();
    let text = item.text()?;
    let parsed = match text.strip_prefix("file:") {
        Some(path) => {
            let path = place.document().file(path);
            place.document().sources().guard(&path);
            trusted_key_file(&path)
        }
        None => TrustedKey::parse(&text),
    };
    parsed.map_err(|message| place.report(message)).ok()
}

/// Reads the file of a public key. The error names the file.
pub fn trusted_key_file(path: &Path) -> Result<TrustedKey, String> {
    let error = |why: &dyn std::fmt::Display| format!("{} {why}", path.display());
    let bytes = read_guarded(path, MAX_SIGNATURE).map_err(|why| error(&why))?;
    let text = String::from_utf8(bytes).map_err(|_| error(&"is not UTF-8"))?;
    TrustedKey::parse(&text).map_err(|why| error(&why))
}
