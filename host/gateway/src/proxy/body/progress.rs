//! The progress of an exchange. Both bodies count, so that a response may pause while its request is still being sent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::Sleep;

/// The progress of the bodies of an exchange, and whether the client is the one to continue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<ProgressState>);

#[derive(Debug, Default)]
struct ProgressState {
    count: AtomicUsize,
    waits_for_client: AtomicBool,
}

impl Progress {
    /// Records progress.
    pub(crate) fn step(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that changes with every step.
    pub(crate) fn mark(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Records whether the exchange waits for the client, which has a timeout of its own.
    pub(super) fn set_waits_for_client(&self, waits: bool) {
        self.0.waits_for_client.store(waits, Ordering::Relaxed);
    }

    /// Whether the exchange waits for the client.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.0.waits_for_client.load(Ordering::Relaxed)
    }
}

/// Completes when there was no progress for `limit`.
#[derive(Debug)]
pub(super) struct IdleTimer {
    pub(super) progress: Progress,
    limit: Duration,
    seen: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    pub(super) fn new(progress: Progress, limit: Duration) -> Self {
        Self {
            seen: progress.mark(),
            progress,
            limit,
            timer: None,
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        loop {
            let mark = self.progress.mark();
            if mark != self.seen {
                self.seen = mark;
                timer.as_mut().reset(Instant::now() + limit);
            }
            ready!(timer.as_mut().poll(context));
            if self.progress.mark() == self.seen {
                return Poll::Ready(());
            }
        }
    }
}
