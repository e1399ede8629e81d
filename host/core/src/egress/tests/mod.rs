//! The outbound side as a plugin uses it, with a server on the loopback interface and, where that matters, a resolver
//! that returns chosen addresses.

mod grants;
mod server;
mod sharing;
mod storing;
mod wire;

use std::collections::HashMap;

/// Counters in the form of [`server::Side::counted`].
fn counts(counts: &[(&str, u64)]) -> HashMap<String, u64> {
    counts
        .iter()
        .map(|(outcome, count)| ((*outcome).to_owned(), *count))
        .collect()
}
