//! A future that runs to completion even if it is dropped. When a client disconnects, its plugin's call is finished in
//! a task of its own: a running call of a plugin is never dropped (CVE-2026-27195).

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

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
