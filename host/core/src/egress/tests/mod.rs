//! The outbound side as a plugin meets it, with a real server on loopback and, where that matters, a resolver that lies.

mod grants;
mod server;
mod sharing;
mod storing;
mod wire;

use std::collections::HashMap;

/// Counters as [`server::Side::counted`] has them.
fn counts(counts: &[(&str, u64)]) -> HashMap<String, u64> {
    counts
        .iter()
        .map(|(outcome, count)| ((*outcome).to_owned(), *count))
        .collect()
}
