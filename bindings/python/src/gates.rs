//! Who decides for a chain at the moment. Plugins of a plugin directory are replaced while requests are decided; each request
//! is decided by one version of all of them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis::AuthRequest;
use portcullis::Authorizers;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::Grants;
use portcullis::Outcome;
use portcullis::Role;
use portcullis::session::Sessions;
use portcullis_loader::AskedPlugin;
use portcullis_loader::CurrentPlugins;
use portcullis_loader::PluginSet;

use crate::decision::Decision;

/// A plugin of a chain.
pub(crate) enum Member {
    /// It stays as it is.
    Fixed(AskedPlugin),
    /// The one of this name that is in the directory at the moment.
    Named(CurrentPlugins, String),
}

/// Who decides about a request: a gate, and then authorizers.
#[derive(Clone)]
pub(crate) struct Deciders {
    pub(crate) gate: Gate,
    pub(crate) authorizers: Authorizers,
}

impl Deciders {
    /// Decides about a request. `visitors` is whether requests without credentials are served, too.
    pub(crate) async fn decide(self, request: Arc<AuthRequest>, visitors: bool) -> Decision {
        let admission = self.gate.admit(&request).await;
        let outcome = &admission.decision.outcome;
        let is_asked = match outcome {
            Outcome::Grant(_) => true,
            Outcome::Refuse(refusal) => visitors && refusal.lacks_credentials(),
        };
        if self.authorizers.is_empty() {
            return Decision::new(admission, None, true);
        }
        if !is_asked {
            // No authorizer was asked about a request without credentials.
            return Decision::new(admission, None, false);
        }
        let authorization = self.authorizers.decide(&request, outcome).await;
        let is_permitted = authorization.outcome.is_ok();
        Decision::new(admission, Some(authorization), is_permitted)
    }
}

/// Deciders that follow the directories of their plugins.
pub(crate) struct Gates {
    authenticators: Vec<Member>,
    authorizers: Vec<Member>,
    /// The directories of its members, each once.
    directories: Vec<CurrentPlugins>,
    sessions: Option<Arc<Sessions>>,
    built: ArcSwap<Built>,
}

/// Deciders, and the sets of the directories that they are made of.
struct Built {
    sets: Vec<Arc<PluginSet>>,
    deciders: Deciders,
}

impl Gates {
    pub(crate) fn new(authenticators: Vec<Member>, authorizers: Vec<Member>, sessions: Option<Arc<Sessions>>) -> Self {
        let mut directories: Vec<CurrentPlugins> = Vec::new();
        for member in authenticators.iter().chain(&authorizers) {
            if let Member::Named(directory, _) = member
                && !directories.iter().any(|known| known.is(directory))
            {
                directories.push(directory.clone());
            }
        }
        let sets = load(&directories);
        let first = Built {
            deciders: deciders(&authenticators, &authorizers, &directories, &sets, sessions.as_ref()),
            sets,
        };
        Self {
            built: ArcSwap::from_pointee(first),
            authenticators,
            authorizers,
            directories,
            sessions,
        }
    }

    /// Who decides about the next request.
    pub(crate) fn current(&self) -> Deciders {
        let built = self.built.load();
        let sets = load(&self.directories);
        if sets.iter().zip(&built.sets).all(|(now, then)| Arc::ptr_eq(now, then)) {
            return built.deciders.clone();
        }
        let deciders = deciders(
            &self.authenticators,
            &self.authorizers,
            &self.directories,
            &sets,
            self.sessions.as_ref(),
        );
        let next = deciders.clone();
        self.built.store(Arc::new(Built { sets, deciders }));
        next
    }
}

fn load(directories: &[CurrentPlugins]) -> Vec<Arc<PluginSet>> {
    directories.iter().map(CurrentPlugins::load).collect()
}

/// Those of these sets, which are the sets of `directories`, in their order.
fn deciders(
    authenticators: &[Member],
    authorizers: &[Member],
    directories: &[CurrentPlugins],
    sets: &[Arc<PluginSet>],
    sessions: Option<&Arc<Sessions>>,
) -> Deciders {
    let set = |directory: &CurrentPlugins| {
        let index = directories.iter().position(|known| known.is(directory));
        index.and_then(|index| sets.get(index))
    };
    // The directory keeps every plugin that is asked. A missing one would refuse every request.
    let gone = || "its directory doesn't have it any more".to_owned();
    let authenticators = authenticators.iter().map(|member| {
        let (found, name) = match member {
            Member::Fixed(plugin) => (plugin.authenticator(), plugin.name()),
            Member::Named(directory, name) => (set(directory).and_then(|set| set.authenticator(name)), name.as_str()),
        };
        let disabled = || portcullis::Authenticator::disabled(name, Grants::default(), gone());
        found.cloned().unwrap_or_else(disabled)
    });
    let authorizers = authorizers.iter().map(|member| {
        let (found, name) = match member {
            Member::Fixed(plugin) => (plugin.authorizer(), plugin.name()),
            Member::Named(directory, name) => (set(directory).and_then(|set| set.authorizer(name)), name.as_str()),
        };
        let disabled = || portcullis::Authorizer::disabled(name, Grants::of_role(Role::Authorizer), gone());
        found.cloned().unwrap_or_else(disabled)
    });
    Deciders {
        gate: Gate::new(Chain::new(authenticators), sessions.map(Arc::clone)),
        authorizers: Authorizers::new(authorizers),
    }
}
