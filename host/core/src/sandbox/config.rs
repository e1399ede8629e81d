//! What an instance is started with: what all instances of an engine share, and what is one authenticator's.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::cache::Cache;
use super::turn::Turns;
use crate::egress::Egress;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::negotiate::Negotiator;

/// What all instances of an engine share.
pub(crate) struct Runtime {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) turns: Turns,
    pub(crate) memory: Arc<Budget>,
}

/// What an instance gets besides the component.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) authenticator: Arc<str>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    pub(crate) cache: Option<Arc<Cache>>,
    /// None: it reaches no server.
    pub(crate) egress: Egress,
    /// Accepts the tokens that `grants.negotiate` is about.
    pub(crate) negotiator: Option<Arc<dyn Negotiator>>,
}

impl Surroundings {
    pub(super) fn nothing() -> Self {
        let grants = Arc::new(Grants {
            headers: Vec::new(),
            ..Grants::default()
        });
        let authenticator: Arc<str> = "settings-schema".into();
        let limits = Limits {
            deadline: Duration::from_secs(10),
            ..Limits::default()
        };
        Self {
            authenticator,
            grants,
            limits,
            cache: None,
            egress: Egress::closed(),
            negotiator: None,
        }
    }
}
