//! Acceptors for a program that has plugins of its own and no gateway, such as a server in Python.

use std::sync::Arc;

use portcullis::Negotiator;
use portcullis_loader::Negotiators;
use portcullis_loader::config::document::Document;
use portcullis_loader::config::error::ConfigError;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::sources::Sources;
use serde_json::Value;

use super::Acceptor;
use crate::config::Environment;
use crate::config::NegotiateConfig;

/// Starts acceptors of Kerberos tokens for a program that has plugins of its own. `negotiate` is an object of JSON that has a
/// table for each acceptor, with the keys of `[negotiate.NAME]` in the gateway's configuration. `place` is what stands before
/// them in errors.
///
/// Call it in a Tokio runtime with I/O and time enabled, in which the acceptors are used, too.
///
/// # Errors
///
/// Returns all mistakes in the keys, or why a helper process can't be started.
pub async fn start_negotiators(place: &str, negotiate: &Value) -> Result<Negotiators, Vec<ConfigError>> {
    let mut acceptors = Negotiators::new();
    for config in read(place, negotiate)? {
        let acceptor = Acceptor::start(&config).await;
        let acceptor: Arc<dyn Negotiator> = Arc::new(acceptor.map_err(|error| vec![config.location.error(error)])?);
        acceptors.insert(config.name, acceptor);
    }
    Ok(acceptors)
}

fn read(place: &str, negotiate: &Value) -> Result<Vec<NegotiateConfig>, Vec<ConfigError>> {
    let (environment, sources) = (Environment::of_process(), Sources::default());
    let document = Document::without_lines(place, &environment, &sources);
    let tables = Item::of_json(&document, "negotiate", negotiate).and_then(Item::table);
    let tables = tables.into_iter().flat_map(Table::into_entries);
    let configured = tables.filter_map(|(name, item)| NegotiateConfig::read(name, item, &environment));
    let configured = Vec::from_iter(configured);
    match document.into_errors() {
        errors if errors.is_empty() => Ok(configured),
        errors => Err(errors),
    }
}
