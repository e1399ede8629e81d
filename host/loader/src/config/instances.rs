//! `[authenticators.NAME] instances`: which instances of a plugin are kept after a call, for later requests.

use std::time::Duration;

use portcullis::KeepInstances;
use portcullis::Limits;

use crate::config::plugin::PluginSource;
use crate::config::reader::Item;

const DEFAULT_REQUESTS: usize = 1000;
const DEFAULT_AGE: Duration = Duration::from_secs(300);

/// A quarter of the most calls that may run at once.
const MAX_KEEP: usize = 1024;
const MAX_REQUESTS: usize = 1_000_000;
const MIN_AGE: Duration = Duration::from_secs(1);
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Reads the table. Returns `None` if it has a mistake.
pub(super) fn read(item: Item<'_>, plugin: Option<&PluginSource>, limits: &Limits) -> Option<KeepInstances> {
    let place = item.place.clone();
    let mut table = item.table()?;
    if let Some(PluginSource::BuiltIn(_)) = plugin {
        place.report(
            "isn't allowed for a built-in plugin: a new instance of it takes microseconds, and one that is kept would only let \
             requests share its memory",
        );
    }
    let keep = table.require("keep").and_then(|item| {
        let place = item.place.clone();
        let keep = item.number(1, MAX_KEEP)?;
        if keep > limits.concurrency {
            let most = limits.concurrency;
            place.report(format!(
                "must be at most {most}, as many calls as limits.concurrency allows"
            ));
        }
        Some(keep)
    });
    let requests = table.number("requests", DEFAULT_REQUESTS, 2..=MAX_REQUESTS);
    let age = table.duration("age", DEFAULT_AGE, MIN_AGE..=MAX_AGE);
    table.finish();
    Some(KeepInstances {
        keep: keep?,
        requests: u32::try_from(requests).ok()?,
        age,
    })
}
