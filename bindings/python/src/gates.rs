//! The gate of a chain at the moment. Authenticators of a plugin directory are replaced while requests are decided; each request
//! is decided by one version of all of them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::Grants;
use portcullis::session::Sessions;
use portcullis_loader::CurrentPlugins;
use portcullis_loader::PluginSet;

/// An authenticator of a chain.
pub(crate) enum Member {
    /// It stays as it is.
    Fixed(portcullis::Authenticator),
    /// The one of this name that is in the directory at the moment.
    Named(CurrentPlugins, String),
}

/// A gate that follows the directories of its authenticators.
pub(crate) struct Gates {
    members: Vec<Member>,
    /// The directories of its members, each once.
    directories: Vec<CurrentPlugins>,
    sessions: Option<Arc<Sessions>>,
    built: ArcSwap<Built>,
}

/// A gate, and the sets of the directories that it is made of.
struct Built {
    sets: Vec<Arc<PluginSet>>,
    gate: Gate,
}

impl Gates {
    pub(crate) fn new(members: Vec<Member>, sessions: Option<Arc<Sessions>>) -> Self {
        let mut directories: Vec<CurrentPlugins> = Vec::new();
        for member in &members {
            if let Member::Named(directory, _) = member
                && !directories.iter().any(|known| known.is(directory))
            {
                directories.push(directory.clone());
            }
        }
        let built = build(&members, &directories, load(&directories), sessions.as_ref());
        Self {
            built: ArcSwap::from_pointee(built),
            members,
            directories,
            sessions,
        }
    }

    /// The gate for the next request.
    pub(crate) fn current(&self) -> Gate {
        let built = self.built.load();
        let sets = load(&self.directories);
        if sets.iter().zip(&built.sets).all(|(now, then)| Arc::ptr_eq(now, then)) {
            return built.gate.clone();
        }
        let next = build(&self.members, &self.directories, sets, self.sessions.as_ref());
        let gate = next.gate.clone();
        self.built.store(Arc::new(next));
        gate
    }
}

fn load(directories: &[CurrentPlugins]) -> Vec<Arc<PluginSet>> {
    directories.iter().map(CurrentPlugins::load).collect()
}

/// Makes the gate of these sets, which are those of `directories`, in their order.
fn build(
    members: &[Member],
    directories: &[CurrentPlugins],
    sets: Vec<Arc<PluginSet>>,
    sessions: Option<&Arc<Sessions>>,
) -> Built {
    let of = |directory: &CurrentPlugins| directories.iter().position(|known| known.is(directory));
    let authenticators = members.iter().map(|member| match member {
        Member::Fixed(authenticator) => authenticator.clone(),
        Member::Named(directory, name) => {
            let set = of(directory).and_then(|index| sets.get(index));
            let found = set.and_then(|set| set.authenticator(name)).cloned();
            // The directory keeps every plugin that is asked. If one were missing, the gate would let in no user.
            found.unwrap_or_else(|| {
                portcullis::Authenticator::disabled(
                    name,
                    Grants::default(),
                    "its directory doesn't have it any more".to_owned(),
                )
            })
        }
    });
    let gate = Gate::new(Chain::new(authenticators), sessions.map(Arc::clone));
    Built { gate, sets }
}
