//! Whether it is known which sessions other gateways have ended. While it isn't, no session is accepted and no decision reused: a user who
//! was locked out elsewhere would be let in here.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use metrics::gauge;
use portcullis::Engine;
use portcullis::session::Revocations;
use tokio::sync::watch;
use tokio::time::timeout;

use super::UNCERTAIN;

/// Says whether it isn't known which sessions are over.
pub(super) fn decide(list: &Revocations, engine: &Engine, is_uncertain: bool) {
    list.set_uncertain(is_uncertain);
    engine.pause_reuse(is_uncertain);
    gauge!(UNCERTAIN).set(if is_uncertain { 1.0 } else { 0.0 });
}

/// When it was last known what others have revoked. `None` if it never was.
#[derive(Default)]
pub(super) struct Known(watch::Sender<Option<Instant>>);

impl Known {
    pub(super) fn now(&self) {
        self.0.send_replace(Some(Instant::now()));
    }

    fn last(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits until it is known for the first time.
    pub(super) async fn heard(&self) {
        // The sender is here, so that this ends by what is waited for.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// Stops accepting sessions when nothing was heard for too long, and begins again. A server that is lost from the start counts as one that
/// is lost then, unless the bound leaves no time for that.
pub(super) async fn judge(known: Arc<Known>, bound: Duration, list: Arc<Revocations>, engine: Engine) {
    if timeout(NOTICED, known.heard()).await.is_err() && bound > NOTICED {
        known.now();
    }
    let mut is_told = false;
    loop {
        let is_uncertain = known.last().is_none_or(|last| last.elapsed() > bound);
        if is_uncertain == list.is_uncertain() {
            tokio::time::sleep(JUDGED).await;
            continue;
        }
        decide(&list, &engine, is_uncertain);
        match is_uncertain {
            false if !is_told => {}
            true => tracing::error!(
                stale_revocations = %humantime::format_duration(bound),
                "the shared state has been lost for too long to know which sessions were ended: requests with a session are \
                 answered 503, and plugins are asked about every request"
            ),
            false => tracing::info!("it is known again which sessions were ended: sessions are accepted"),
        }
        is_told = true;
    }
}

/// After how long a lost server is noticed at the latest, so that sessions are accepted for at least that long.
pub(super) const NOTICED: Duration = Duration::from_secs(3);

/// How often it is looked whether the server has been silent for too long.
const JUDGED: Duration = Duration::from_millis(250);

/// After how long one that has never answered is given up, and the judge has said what that means.
pub(super) const GIVEN_UP: Duration = NOTICED.saturating_add(JUDGED);
