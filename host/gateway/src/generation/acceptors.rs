//! Starts the acceptors of Kerberos tokens. Each starts a helper at once, so that a bad keytab is an error at load time.

use std::collections::HashMap;

use crate::config::ConfigError;
use crate::config::NegotiateConfig;
use crate::generation::previous::Previous;
use crate::kerberos::Acceptor;

/// Starts every acceptor that is new. Returns those that work, by name, and an error for each of the others.
pub(super) async fn start(
    configured: &[NegotiateConfig],
    previous: Previous<'_>,
) -> (HashMap<String, Acceptor>, Vec<ConfigError>) {
    let (mut acceptors, mut errors) = (HashMap::new(), Vec::new());
    for config in configured {
        if let Some(known) = previous.acceptor(&config.name) {
            acceptors.insert(config.name.clone(), known);
            continue;
        }
        match Acceptor::start(config).await {
            Ok(acceptor) => _ = acceptors.insert(config.name.clone(), acceptor),
            Err(error) => errors.push(config.location.error(error)),
        }
    }
    (acceptors, errors)
}
