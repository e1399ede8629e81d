//! One thread for work that no request waits for. It does one thing after another, so that however much there is to do, the
//! other processors are left to requests.

use std::sync::OnceLock;

use rayon::ThreadPool;
use rayon::ThreadPoolBuilder;

/// The thread. It starts with the first work, and ends with this.
#[derive(Default)]
pub(crate) struct Background(OnceLock<Option<ThreadPool>>);

impl Background {
    /// Does this after what it was given before. A panic ends this work alone. Wasmtime compiles on the pool of the
    /// thread that it is called on, so here on one processor.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let pool = self.0.get_or_init(|| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(|_| "portcullis-background".to_owned())
                // The hook for panics has written where and why.
                .panic_handler(|_| {})
                .build();
            pool.inspect_err(|error| tracing::warn!(%error, "no thread for work in the background"))
                .ok()
        });
        if let Some(pool) = pool {
            pool.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panic_ends_its_own_work_alone() {
        let background = Background::default();
        let (done, wait) = mpsc::channel();
        background.run(|| panic!("a fault in the work"));
        background.run(move || done.send(()).unwrap());
        wait.recv().unwrap();
    }
}
