//! A thread that is attached to Python for as long as it has something to hand over, and takes all that there is at once.

use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::thread::JoinHandle;
use std::thread::ThreadId;
use std::time::Duration;

use pyo3::PyResult;
use pyo3::Python;

use crate::errors::EngineError;
use crate::errors::closed;
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

/// A thread, and its queue. What is pushed before the thread starts waits for it.
pub(super) struct Worker<T> {
    name: &'static str,
    queue: Queue<T>,
    /// What the thread takes with it when it starts.
    jobs: Arc<Mutex<Option<Receiver<Job<T>>>>>,
    thread: Mutex<Thread>,
}

/// What has become of the thread.
enum Thread {
    Unstarted,
    Running(JoinHandle<()>),
    /// It hands over the last of what there is.
    Ending(ThreadId),
    Ended,
}

impl<T: Send + 'static> Worker<T> {
    pub(super) fn new(name: &'static str) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            name,
            queue: Queue(sender),
            jobs: Arc::new(Mutex::new(Some(receiver))),
            thread: Mutex::new(Thread::Unstarted),
        }
    }

    /// Starts the thread, unless it runs. It calls `hand_over` with what there is, and also with nothing, once in `interval`.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no thread for it, or if the worker has ended.
    pub(super) fn start(
        &self,
        interval: Option<Duration>,
        hand_over: impl FnMut(Python<'_>, Vec<T>) + Send + 'static,
    ) -> PyResult<()> {
        let mut state = lock(&self.thread);
        match &*state {
            Thread::Running(_) => return Ok(()),
            Thread::Ending(_) | Thread::Ended => return Err(closed()),
            Thread::Unstarted => {}
        }
        let jobs = Arc::clone(&self.jobs);
        let thread = thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            let jobs = lock(&jobs).take();
            if let Some(jobs) = jobs {
                run(&jobs, interval, hand_over);
            }
        });
        *state = Thread::Running(thread.map_err(|error| EngineError::new_err(error.to_string()))?);
        Ok(())
    }

    pub(super) fn queue(&self) -> Queue<T> {
        self.queue.clone()
    }

    /// Whether the caller runs on this thread.
    pub(super) fn is_current(&self) -> bool {
        let current = thread::current().id();
        match &*lock(&self.thread) {
            Thread::Running(handle) => handle.thread().id() == current,
            Thread::Ending(id) => *id == current,
            Thread::Unstarted | Thread::Ended => false,
        }
    }

    /// Ends the thread after all that is in its queue. None can be started later.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.thread);
        match mem::replace(&mut *state, Thread::Ended) {
            Thread::Running(thread) => {
                *state = Thread::Ending(thread.thread().id());
                // Nothing is locked while this waits, because what the thread calls may ask about this worker.
                drop(state);
                self.queue.0.send(Job::Stop).ok();
                // It has panicked if this fails, and has ended as well.
                thread.join().ok();
                *lock(&self.thread) = Thread::Ended;
            }
            Thread::Unstarted => drop(lock(&self.jobs).take()),
            before @ (Thread::Ending(_) | Thread::Ended) => *state = before,
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
