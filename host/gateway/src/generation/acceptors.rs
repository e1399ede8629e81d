//! The acceptors of Kerberos tokens, each tried out before anybody depends on it.

use std::collections::HashMap;

use crate::config::ConfigError;
use crate::config::NegotiateConfig;
use crate::kerberos::Acceptor;

/// Every acceptor that can be made, by name, and all that is wrong with the others.
pub(super) async fn start(configured: &[NegotiateConfig]) -> (HashMap<String, Acceptor>, Vec<ConfigError>) {
    let (mut acceptors, mut errors) = (HashMap::new(), Vec::new());
    for config in configured {
        match Acceptor::start(config).await {
            Ok(acceptor) => _ = acceptors.insert(config.name.clone(), acceptor),
            Err(why) => errors.push(config.location.error(why)),
        }
    }
    (acceptors, errors)
}
