//! A thread that is attached to Python for as long as it has something to hand over, and takes all that there is at once.

use std::sync::Mutex;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use pyo3::PyResult;
use pyo3::Python;

use crate::errors::EngineError;
use crate::lock::lock;

/// How many things are handed over before Python's lock is free for others.
const MOST: usize = 1024;

enum Job<T> {
    Item(T),
    Stop,
}

/// Where the things for a worker go. A clone leads to the same worker.
pub(crate) struct Queue<T>(Sender<Job<T>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Queue<T> {
    /// Hands something over. After the end of the worker it is dropped.
    pub(super) fn push(&self, item: T) {
        self.0.send(Job::Item(item)).ok();
    }
}

/// A thread, and its queue.
pub(super) struct Worker<T> {
    queue: Queue<T>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread. It calls `hand_over` with what there is, and also with nothing, once in `interval`.
    pub(super) fn start(
        name: &str,
        interval: Option<Duration>,
        hand_over: impl FnMut(Python<'_>, Vec<T>) + Send + 'static,
    ) -> PyResult<Self> {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || run(&receiver, interval, hand_over));
        let thread = thread.map_err(|error| EngineError::new_err(error.to_string()))?;
        Ok(Self {
            queue: Queue(sender),
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn queue(&self) -> Queue<T> {
        self.queue.clone()
    }

    /// Ends the thread after all that is in its queue.
    pub(super) fn stop(&self) {
        self.queue.0.send(Job::Stop).ok();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // It has panicked if this fails, and has ended as well.
            thread.join().ok();
        }
    }
}

fn run<T: Send>(
    jobs: &Receiver<Job<T>>,
    interval: Option<Duration>,
    mut hand_over: impl FnMut(Python<'_>, Vec<T>) + Send,
) {
    loop {
        let first = match interval {
            Some(interval) => match jobs.recv_timeout(interval) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            },
            None => match jobs.recv() {
                Ok(job) => Some(job),
                Err(_) => return,
            },
        };
        let mut items = Vec::new();
        let mut stopped = false;
        for job in first.into_iter().chain(jobs.try_iter().take(MOST)) {
            match job {
                Job::Item(item) => items.push(item),
                Job::Stop => stopped = true,
            }
        }
        // It fails only while the interpreter ends without having closed the engine.
        let attached = Python::try_attach(|py| hand_over(py, items));
        if stopped || attached.is_none() {
            return;
        }
    }
}
