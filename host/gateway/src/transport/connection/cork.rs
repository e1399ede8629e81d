//! Holds back what is written to a client for the moment in which a response is handed over to hyper. What of a response
//! is ready then leaves in one piece.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// Stops the writes of one HTTP/2 connection while it is held.
///
/// hyper sends the head and the data of a response by two calls, and the task of the connection may write the head in
/// between. curl up to 8.1 then ends its unfinished body at once, h2 resets the stream because bytes are missing (RFC
/// 9113, section 8.1.1), and the data is lost.
#[derive(Debug, Default)]
pub(super) struct Cork {
    holds: AtomicUsize,
    released: AtomicWaker,
}

impl Cork {
    /// Holds writes back until [`Self::release`] was called as often.
    pub(super) fn hold(&self) {
        self.holds.fetch_add(1, Ordering::SeqCst);
    }

    /// Gives back one hold.
    pub(super) fn release(&self) {
        if self.holds.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.released.wake();
        }
    }

    /// Ready while nothing is held back.
    pub(super) fn poll_released(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.holds.load(Ordering::SeqCst) == 0 {
            return Poll::Ready(());
        }
        self.released.register(context.waker());
        // The last hold may have been given back before there was a waker.
        match self.holds.load(Ordering::SeqCst) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
