//! The resources of the machine or container, and the defaults that are derived from them. Each default can be overridden
//! by the configuration or the command line, and is logged at the start.

mod memory;
pub(crate) mod usage;

use std::num::NonZero;

use crate::config::ListenConfig;

pub(crate) use self::memory::available as memory;

/// Raises the limit on open files, connections included, as far as the process may. Returns the new limit, or `None` if
/// the system doesn't report it.
pub(crate) fn open_files() -> Option<u64> {
    // If the limit can't be raised, the current one applies.
    rlimit::increase_nofile_limit(u64::MAX)
        .or_else(|_| rlimit::Resource::NOFILE.get_soft())
        .ok()
}

/// Returns the default for the memory of all plugins together, in bytes: half of the available memory. `None` if the
/// system doesn't report it.
pub(crate) fn plugin_memory() -> Option<usize> {
    usize::try_from(memory()? / 2).ok()
}

/// Returns how many connections a listener accepts by default.
///
/// Some open files are reserved for plugins, files and the system. The others are divided equally among the listeners and
/// the upstreams, because a request may need a second connection to its upstream.
pub(crate) fn connections(config: &ListenConfig, files: Option<u64>) -> usize {
    let shares = listeners(config) + 1;
    let files = files.unwrap_or(u64::MAX).saturating_sub(RESERVED_FILES) / shares;
    usize::try_from(files)
        .unwrap_or(usize::MAX)
        .clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

/// Whether each listener can have this many connections open at the same time.
pub(crate) fn allows(config: &ListenConfig, files: Option<u64>, connections: usize) -> bool {
    let shares = listeners(config) + 1;
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(shares);
    needed.saturating_add(RESERVED_FILES) <= files.unwrap_or(u64::MAX)
}

/// Returns how many threads serve requests by default: the number of processors, or the container's CPU quota if it is
/// lower.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn listeners(config: &ListenConfig) -> u64 {
    let forward_auth = config.forward_auth.as_ref().is_some_and(|front| front.listen.is_some());
    let others = [
        forward_auth,
        config.ext_authz.is_some(),
        config.server.redirect.is_some(),
    ];
    others.into_iter().map(u64::from).sum::<u64>() + 1
}

/// Open files that aren't available for connections to clients and upstreams.
const RESERVED_FILES: u64 = 256;
const MIN_CONNECTIONS: usize = 16;
const MAX_CONNECTIONS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ForwardAuthConfig;
    use crate::config::Listen;

    #[test]
    fn connections_leave_files_for_upstreams_and_plugins() {
        let mut config = ListenConfig::default();
        for (files, expected) in [
            (Some(1024), 384),
            (Some(20_256), 10_000),
            (Some(1_048_576), 10_000),
            (Some(256), 16),
            (Some(0), 16),
            (None, 10_000),
        ] {
            assert_eq!(connections(&config, files), expected, "{files:?}");
        }
        assert!(allows(&config, Some(1024), 384) && !allows(&config, Some(1024), 385));
        assert!(allows(&config, None, usize::MAX / 2));
        config.forward_auth = Some(ForwardAuthConfig {
            listen: Some(Listen::at("127.0.0.1:1".parse().unwrap())),
            tls: None,
            proxy_token: None,
        });
        assert_eq!(connections(&config, Some(1024)), 256);
    }
}
