//! How a call ended, and what that says about the plugin.

use crate::sandbox::PluginError;

/// How a call ended, for the breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// The plugin answered.
    Answered,
    /// It failed.
    Failed(Fault),
    /// What it failed for says nothing about it: the machine had no memory for it, for example.
    Undecided,
}

/// What a plugin may have failed at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// What it read of the request, or was told about it.
    Request,
    /// The request has nothing to do with it, since it read nothing of it.
    Plugin,
}

impl Ended {
    /// How a call ended with this error. `has_read` says whether the plugin got to know anything of the request.
    pub(crate) const fn with(error: &PluginError, has_read: bool) -> Self {
        match error {
            // What a provider says of one user can make an answer too large, or put into a header or a challenge what can't
            // be there. The plugin ran to its end all the same.
            PluginError::Output(_) | PluginError::Oversized => Self::Answered,
            PluginError::Memory | PluginError::NoAddressSpace | PluginError::NoSandbox => Self::Undecided,
            PluginError::Settings(_) | PluginError::Trap(_) if !has_read => Self::Failed(Fault::Plugin),
            // A busy machine, too, can keep it from reading anything before its deadline.
            PluginError::Deadline | PluginError::Settings(_) | PluginError::Trap(_) => Self::Failed(Fault::Request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_plugin_does_before_it_reads_anything_has_nothing_to_do_with_the_request() {
        let text = String::new;
        for (error, after_reading, before) in [
            (
                PluginError::Deadline,
                Ended::Failed(Fault::Request),
                Ended::Failed(Fault::Request),
            ),
            (PluginError::Memory, Ended::Undecided, Ended::Undecided),
            (PluginError::NoAddressSpace, Ended::Undecided, Ended::Undecided),
            (PluginError::NoSandbox, Ended::Undecided, Ended::Undecided),
            (PluginError::Output(text()), Ended::Answered, Ended::Answered),
            (PluginError::Oversized, Ended::Answered, Ended::Answered),
            (
                PluginError::Settings(text()),
                Ended::Failed(Fault::Request),
                Ended::Failed(Fault::Plugin),
            ),
            (
                PluginError::Trap(text()),
                Ended::Failed(Fault::Request),
                Ended::Failed(Fault::Plugin),
            ),
        ] {
            assert_eq!(Ended::with(&error, true), after_reading, "{error}");
            assert_eq!(Ended::with(&error, false), before, "{error}");
        }
    }
}
