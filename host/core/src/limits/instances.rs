//! Which instances of a plugin are kept after a call, for later calls.

use std::fmt;
use std::time::Duration;

/// Keeps instances after their calls, so that later calls needn't start and configure one. The requests that an instance serves
/// then share the plugin's memory: by a mistake of the plugin, one user may get what belongs to another.
///
/// An instance is kept only if its call was answered, if it keeps no handles of the host but those of its stdout and stderr, and
/// if it has not used more than half of the memory that was left to it when it was configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "built by applications that configure an authenticator"
)]
pub struct KeepInstances {
    /// How many idle instances are kept at most. All authenticators of an engine together keep at most a quarter as many
    /// as the calls that may run, and these take at most a quarter of the memory for instances.
    pub keep: usize,
    /// After how many requests an instance is dropped.
    pub requests: u32,
    /// How long after its start an instance is dropped, at the end of its call if it has one.
    pub age: Duration,
}

/// Says it to an operator: `up to 8, each for 1000 requests and 5m at most`.
impl fmt::Display for KeepInstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keep, requests, age } = self;
        let age = humantime::format_duration(*age);
        write!(f, "up to {keep}, each for {requests} requests and {age} at most")
    }
}
