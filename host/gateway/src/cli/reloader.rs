//! Loads the configuration again when its files change, at a SIGHUP, and when `portcullis reload` asks. The next generation
//! is loaded aside and swapped in at once; if it can't be used, the one before stays.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use portcullis::Engine;
use portcullis_loader::config::rotation::SecretWatch;
use portcullis_watch::Watcher;
use tokio::sync::mpsc;

use crate::admin::Metrics;
use crate::admin::ReloadOutcome;
use crate::admin::ReloadRequest;
use crate::admin::Reloads;
use crate::audit_trail::CurrentTrail;
use crate::cli::access_logs::AccessLogs;
use crate::cli::signals::Hangups;
use crate::cli::source::Source;
use crate::config::Digests;
use crate::config::Draft;
use crate::generation::Generation;
use crate::pipeline::Gateway;
use crate::serve::Listeners;
use crate::transport::Shutdown;
use crate::transport::systemd::ServiceState;

/// What a reload changes.
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) engine: Engine,
    pub(super) gateway: Arc<Gateway>,
    pub(super) listeners: Listeners,
    pub(super) access_logs: AccessLogs,
    pub(super) audit: CurrentTrail,
    /// `None` if the process records no metrics.
    pub(super) metrics: Option<Metrics>,
    /// The configuration with which the process started.
    pub(super) start: Digests,
    pub(super) secrets: SecretWatch,
    pub(super) watcher: Watcher,
    pub(super) reloads: Reloads,
    pub(super) states: mpsc::Sender<ServiceState>,
    /// The status of the service, for people.
    pub(super) status: String,
}

/// What makes the gateway reload.
#[derive(Debug)]
pub(super) struct Triggers {
    pub(super) hangups: Hangups,
    pub(super) requests: mpsc::Receiver<ReloadRequest>,
}

impl Reloader {
    /// Reloads at every trigger, until a stop is requested.
    pub(super) async fn run(mut self, mut triggers: Triggers, mut stop: Shutdown) {
        loop {
            let mut waiting = Vec::new();
            let trigger = tokio::select! {
                () = stop.requested() => return,
                () = self.watcher.changed() => "files changed",
                () = triggers.hangups.next() => "SIGHUP",
                () = registry_may_answer(&self.gateway) => "a registry was of no use before",
                Some(request) = triggers.requests.recv() => {
                    waiting.push(request);
                    "portcullis reload"
                }
            };
            // Those that have asked meanwhile get the same reload.
            while let Ok(request) = triggers.requests.try_recv() {
                waiting.push(request);
            }
            let outcome = tokio::select! {
                outcome = self.reload(trigger) => outcome,
                () = stop.requested() => return,
            };
            for request in waiting {
                // The client may be gone. The log has the outcome.
                let _ = request.send(outcome.clone());
            }
        }
    }

    async fn reload(&mut self, trigger: &'static str) -> ReloadOutcome {
        tracing::debug!(trigger, "the configuration is loaded again");
        // If nothing listens, the service isn't one of systemd's.
        let _ = self.states.send(ServiceState::Reloading).await;
        let applied = AssertUnwindSafe(tokio::time::timeout(LIMIT, self.try_reload()));
        let outcome = match applied.catch_unwind().await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => ReloadOutcome::Failed(format!("it took longer than {} s", LIMIT.as_secs())),
            Err(_) => ReloadOutcome::Failed("it panicked; standard error has the message".to_owned()),
        };
        self.reloads.note(&outcome);
        log(&outcome, trigger);
        let status = match outcome {
            ReloadOutcome::Applied { .. } => self.status.clone(),
            ReloadOutcome::Failed(_) => format!("{}; the last reload failed: see the log", self.status),
        };
        let _ = self.states.send(ServiceState::Serving(status)).await;
        outcome
    }

    async fn try_reload(&mut self) -> ReloadOutcome {
        let source = self.source.clone();
        let mut draft = match tokio::task::spawn_blocking(move || source.read()).await {
            Ok(draft) => draft,
            Err(error) => return ReloadOutcome::Failed(error.to_string()),
        };
        // Also if the configuration has mistakes: the change of one of its files may mend them.
        self.watcher.watch(std::mem::take(&mut draft.watched));
        match self.apply(draft).await {
            Ok(outcome) => outcome,
            Err(why) => ReloadOutcome::Failed(why),
        }
    }

    /// After the last thing that may fail, this doesn't wait any more, so that it can't be given up in the middle.
    async fn apply(&mut self, draft: Draft) -> Result<ReloadOutcome, String> {
        let before = self.gateway.generation();
        let access_log = draft.config.access_log;
        let audit = draft.config.audit.clone();
        let next = Generation::load(draft, &self.engine, self.gateway.proxy(), Some(&before)).await;
        let next = next.map_err(|errors| errors.to_string())?;
        let prepared = self.listeners.prepare(&next).map_err(|error| error.to_string())?;
        let access_log = self
            .access_logs
            .prepare(access_log)
            .map_err(|error| error.to_string())?;

        let trail = self.audit.clone();
        let audit = tokio::task::spawn_blocking(move || trail.prepare(audit.as_ref())).await;
        let audit = audit
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;

        let changes = Vec::from_iter(next.changes_since(&before).iter().map(ToString::to_string));
        let warnings = Vec::from_iter(next.new_warnings(Some(&before)).map(ToString::to_string));
        let waiting_for_restart = next.waiting_for_restart(&self.start);
        if !changes.is_empty() || !next.warns_like(&before) {
            self.status = prepared.status();
            self.secrets.follow(next.rotating_headers());
            self.access_logs.apply(access_log);
            self.audit.apply(audit);
            self.gateway.replace(next);
            let next = self.gateway.generation();
            self.listeners.apply(prepared, &next);
            next.log(Some(&before));
            next.count_disabled();
            if let Some(metrics) = &self.metrics {
                metrics.export_only(next.exported());
            }
        }
        Ok(ReloadOutcome::Applied {
            changes,
            warnings,
            waiting_for_restart,
        })
    }
}

/// Waits until the registry of a disabled authenticator is to be asked again.
async fn registry_may_answer(gateway: &Gateway) {
    match gateway.generation().waits_for_registry() {
        true => tokio::time::sleep(ASK_AGAIN).await,
        false => std::future::pending().await,
    }
}

fn log(outcome: &ReloadOutcome, trigger: &'static str) {
    match outcome {
        ReloadOutcome::Applied {
            changes,
            waiting_for_restart,
            ..
        } => {
            for change in changes.iter().take(MAX_LINES) {
                tracing::info!("{change}");
            }
            if changes.len() > MAX_LINES {
                tracing::info!("and {} more changes", changes.len() - MAX_LINES);
            }
            for key in waiting_for_restart {
                tracing::warn!(key, "a changed key takes effect at the next start");
            }
            match changes.len() {
                0 => tracing::debug!(trigger, "the configuration was loaded again, and nothing has changed"),
                changes => tracing::info!(trigger, changes, "the configuration was reloaded"),
            }
        }
        ReloadOutcome::Failed(why) => {
            for line in why.lines().take(MAX_LINES) {
                tracing::error!("{line}");
            }
            tracing::error!(
                trigger,
                "the configuration can't be reloaded, so the previous one is still in use"
            );
        }
    }
}

/// How long after an attempt a registry is asked again for the component of a disabled authenticator.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// How many lines a reload writes about changes or mistakes.
const MAX_LINES: usize = 100;

/// How long a reload may take. A component for an interpreter is compiled within a minute. Twice this is less than a
/// connection to the admin listener may last.
const LIMIT: Duration = Duration::from_secs(240);
