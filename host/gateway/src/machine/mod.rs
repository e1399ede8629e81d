//! What the machine, or the container on it, gives to the gateway. Every number that is made from it can be configured
//! instead, and all of them stand in the log.

mod memory;

use std::num::NonZero;

use crate::config::ListenConfig;

pub(crate) use self::memory::available as memory;

/// How many files the process may have open, connections included; as many as it may ask for itself. None: nobody says.
pub(crate) fn open_files() -> Option<u64> {
    // What the system allows is enough where nothing can be asked for.
    rlimit::increase_nofile_limit(u64::MAX)
        .or_else(|_| rlimit::Resource::NOFILE.get_soft())
        .ok()
}

/// How many bytes of memory all plugins may have together by default: half of what there is. None: nobody says.
pub(crate) fn plugin_memory() -> Option<usize> {
    usize::try_from(memory()? / 2).ok()
}

/// How many connections a listener takes by default.
///
/// Each may need one more to an upstream, so each listener has a share, and so do upstreams. What plugins, files and the
/// system need comes first.
pub(crate) fn connections(config: &ListenConfig, files: Option<u64>) -> usize {
    let shares = listeners(config) + 1;
    let files = files.unwrap_or(u64::MAX).saturating_sub(RESERVED_FILES) / shares;
    usize::try_from(files)
        .unwrap_or(usize::MAX)
        .clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

/// Whether so many connections to each listener can be open at once.
pub(crate) fn allows(config: &ListenConfig, files: Option<u64>, connections: usize) -> bool {
    let shares = listeners(config) + 1;
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(shares);
    needed.saturating_add(RESERVED_FILES) <= files.unwrap_or(u64::MAX)
}

/// How many threads serve requests by default: as many as there are processors, or as the container's quota of their time
/// comes to.
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

/// Files that are kept for what is no client's connection and no upstream's.
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
