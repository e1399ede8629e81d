//! Reloads of the configuration: requests for one, and how the last one ended. `portcullis reload` asks for one through the
//! admin listener.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

use metrics::counter;
use metrics::describe_counter;
use metrics::describe_gauge;
use metrics::gauge;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// How a reload ended.
#[derive(Clone, Debug)]
pub(crate) enum ReloadOutcome {
    /// The configuration is in use.
    Applied {
        /// What has changed, one line each. Empty if nothing has.
        changes: Vec<String>,
        /// What is new among the warnings, one line each.
        warnings: Vec<String>,
        /// The keys whose new values take effect at the next start.
        waiting_for_restart: Vec<String>,
    },
    /// It can't be used, for these reasons. The one before is still in use.
    Failed(String),
}

impl ReloadOutcome {
    fn label(&self) -> &'static str {
        match self {
            Self::Applied { changes, .. } if changes.is_empty() => "unchanged",
            Self::Applied { .. } => "applied",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for ReloadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied {
                changes,
                warnings,
                waiting_for_restart,
            } => {
                if changes.is_empty() {
                    f.write_str("nothing has changed")?;
                }
                f.write_str(&changes.join("\n"))?;
                for warning in warnings {
                    write!(f, "\nwarning: {warning}")?;
                }
                for key in waiting_for_restart {
                    write!(f, "\n{key} takes effect at the next start")?;
                }
                Ok(())
            }
            Self::Failed(why) => write!(f, "{why}\nthe previous configuration is still in use"),
        }
    }
}

/// A request for a reload. The answer is sent when the reload has ended.
pub(crate) type ReloadRequest = oneshot::Sender<ReloadOutcome>;

/// Asks for reloads, and remembers how the last one ended. Clones share that.
#[derive(Clone, Debug)]
pub(crate) struct Reloads {
    requests: mpsc::Sender<ReloadRequest>,
    last_failure: Arc<Mutex<Option<Failure>>>,
    last: Arc<Mutex<Option<(SystemTime, String)>>>,
    in_use: Arc<Mutex<InUse>>,
}

/// The configuration in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct InUse {
    /// Which one it is since the start, whose own is 1.
    pub(super) generation: u64,
    /// Since when it is in use.
    pub(super) since: SystemTime,
}

#[derive(Debug)]
struct Failure {
    time: SystemTime,
    why: String,
}

/// How many requests may wait. Those that wait get the same reload.
const MAX_REQUESTS: usize = 16;

impl Reloads {
    /// Returns the requests as well, for what does the reloads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<ReloadRequest>) {
        describe_counter!("portcullis_reloads_total", "Reloads of the configuration, by outcome");
        describe_gauge!(
            "portcullis_config_last_reload_successful",
            "1 if the last reload applied its configuration"
        );
        describe_gauge!(
            "portcullis_config_last_reload_success_timestamp_seconds",
            "When a configuration was applied last, as Unix time"
        );
        let (sender, receiver) = mpsc::channel(MAX_REQUESTS);
        let reloads = Self {
            requests: sender,
            last_failure: Arc::default(),
            last: Arc::default(),
            in_use: Arc::new(Mutex::new(InUse {
                generation: 1,
                since: SystemTime::now(),
            })),
        };
        reloads.succeeded();
        (reloads, receiver)
    }

    /// Notes how a reload ended.
    pub(crate) fn note(&self, outcome: &ReloadOutcome) {
        counter!("portcullis_reloads_total", "outcome" => outcome.label()).increment(1);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((SystemTime::now(), outcome.to_string()));
        match outcome {
            ReloadOutcome::Applied { changes, .. } => {
                if !changes.is_empty() {
                    let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
                    in_use.generation += 1;
                    in_use.since = SystemTime::now();
                }
                self.succeeded();
            }
            ReloadOutcome::Failed(why) => {
                gauge!("portcullis_config_last_reload_successful").set(0);
                self.set_failure(Some(Failure {
                    time: SystemTime::now(),
                    why: why.clone(),
                }));
            }
        }
    }

    /// Asks for a reload and waits until it has ended. `None` if too many requests wait, or if the gateway stops.
    pub(super) async fn ask(&self) -> Option<ReloadOutcome> {
        let (sender, receiver) = oneshot::channel();
        self.requests.try_send(sender).ok()?;
        receiver.await.ok()
    }

    /// When the last reload ended, and what it changed or why it failed. `None` if there was none.
    pub(super) fn last(&self) -> Option<(SystemTime, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which configuration is in use.
    pub(super) fn in_use(&self) -> InUse {
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the probe of readiness says about a configuration that isn't in use. `None` if the last reload was successful.
    pub(super) fn trouble(&self) -> Option<String> {
        let failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map(|Failure { time, why }| {
            let time = humantime::format_rfc3339_seconds(*time);
            format!("the reload at {time} failed, and the previous configuration is still in use:\n{why}\n")
        })
    }

    fn succeeded(&self) {
        gauge!("portcullis_config_last_reload_successful").set(1);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        gauge!("portcullis_config_last_reload_success_timestamp_seconds").set(now.as_secs_f64());
        self.set_failure(None);
    }

    fn set_failure(&self, failure: Option<Failure>) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}
