//! Whole configurations, right and wrong.

mod directory;
mod good;
mod secrets;
mod wrong;

use std::path::Path;

use super::Draft;
use super::Environment;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Reads a text as `portcullis.toml`, and returns what is wrong with it.
fn errors(text: &str) -> Vec<String> {
    errors_in(Path::new("portcullis.toml"), text, &Environment::from([]))
}

fn errors_in(path: &Path, text: &str, environment: &Environment) -> Vec<String> {
    let mut errors = Draft::parse(path, text, environment).errors;
    errors.sort();
    errors.iter().map(ToString::to_string).collect()
}
