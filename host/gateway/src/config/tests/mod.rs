//! Tests with complete configurations, valid and invalid.

mod bounds;
mod comparison;
mod delegated;
mod directory;
mod fronts;
mod good;
mod listening;
mod mangled;
mod negotiate;
mod outbound;
mod registries;
mod routes;
mod secrets;
mod trust;
mod upstreams;
mod wrong;

use std::path::Path;

use super::Draft;
use super::Environment;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Parses the text as the content of this file and returns the errors.
fn errors_in(path: &Path, text: &str, environment: &Environment) -> Vec<String> {
    let mut errors = Draft::parse(path, text, environment).errors;
    errors.sort();
    errors.iter().map(ToString::to_string).collect()
}
