//! A future that runs to completion even if it is dropped. When a client disconnects, its plugin's call is finished in
//! a task of its own: a running call of a plugin is never dropped (CVE-2026-27195).

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

thread_local! {
    /// Whether plugins may run on this thread.
    static RUNS_PLUGINS: Cell<bool> = const { Cell::new(true) };
}

/// Polls a future once, and runs no plugin meanwhile: for a thread that must not compute, such as that of an event loop of another
/// language. Returns its output, such as the decision about a request that has a session, or one that is reused. `None` means that a
/// plugin has to be asked, or that something has to be waited for; then drive the future elsewhere, as any other.
///
/// Call it within a Tokio runtime ([`Handle::enter`](tokio::runtime::Handle::enter)), as every future of this crate is polled.
pub fn poll_without_plugins<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUNS_PLUGINS.set(self.0);
        }
    }
    let _restore = Restore(RUNS_PLUGINS.replace(false));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Runs a future in place, and in a task of its own after this is dropped.
pub(crate) struct Detach<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Detach<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send + 'static> Future for Detach<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = self.0.as_mut() else {
            return Poll::Pending;
        };
        if !RUNS_PLUGINS.get() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let output = std::task::ready!(future.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for Detach<T> {
    fn drop(&mut self) {
        // Without a runtime the process is about to exit, and the result is not needed.
        if let (Some(future), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn no_plugin_runs_on_a_thread_that_must_not_compute() {
        let mut has_run = false;
        let mut call = Box::pin(Detach::new(async { true }));
        assert_eq!(poll_without_plugins(call.as_mut()), None);
        let mut both = Box::pin(async {
            has_run = true;
            call.await
        });
        assert_eq!(poll_without_plugins(both.as_mut()), None);
        assert!(both.await, "it goes on elsewhere");
        assert!(has_run);
        assert_eq!(poll_without_plugins(std::pin::pin!(async { 7 })), Some(7));
    }

    #[tokio::test]
    async fn a_dropped_future_still_completes() {
        let (start, started) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut call = Box::pin(Detach::new(async move {
            started.await.ok();
            end.send(()).ok();
        }));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        drop(call);
        start.send(()).unwrap();
        ended.await.unwrap();
    }
}
