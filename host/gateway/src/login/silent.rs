//! Silent flows that are under way. A browser that opens all of its tabs again would begin one for each, and keeps three at most; so
//! one tab renews the session, and the others wait for it.

use std::fmt;
use std::time::Duration;

use portcullis::session::SessionId;

/// How long the others wait for a tab. It may have been closed meanwhile.
const LIFE: Duration = Duration::from_secs(5);

/// The most sessions that are renewed at the same time. A tab of any other doesn't wait.
const MOST: u64 = 16_384;

/// The silent flows of the last seconds, by the session that each renews.
#[derive(Clone)]
pub(super) struct SilentFlows(moka::sync::Cache<SessionId, String>);

impl SilentFlows {
    pub(super) fn new() -> Self {
        Self(
            moka::sync::Cache::builder()
                .max_capacity(MOST)
                .time_to_live(LIFE)
                .build(),
        )
    }

    /// Takes note of a flow that renews this session. Returns whether none is under way.
    pub(super) fn begin(&self, session: &SessionId, state: &str) -> bool {
        let entry = self.0.entry_by_ref(session);
        entry.or_insert_with(|| state.to_owned()).is_fresh()
    }

    /// Takes note that this flow is over.
    pub(super) fn end(&self, session: &SessionId, state: &str) {
        if self.0.get(session).is_some_and(|own| own == state) {
            self.0.invalidate(session);
        }
    }
}

impl fmt::Debug for SilentFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SilentFlows({})", self.0.entry_count())
    }
}
