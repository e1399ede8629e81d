//! What the process's one engine consists of: the core's engine, the threads that run plugins, and those that speak with
//! Python. It starts once, and nothing of it works in a process that was forked later.

use std::cell::Cell;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use portcullis::poll_without_plugins;
use portcullis_loader::Environment;
use portcullis_loader::config::Pulling;
use portcullis_loader::config::proxy;
use portcullis_loader::remote::Remote;
use portcullis_loader::remote::Unpinned;
use portcullis_loader::tls::trust;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyfunction;
use pyo3::types::PyAnyMethods;
use pyo3::wrap_pyfunction;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use crate::bridge::Bridge;
use crate::errors;
use crate::errors::EngineError;
use crate::errors::ForkError;
use crate::errors::PortcullisError;
use crate::errors::closed;
use crate::lock::lock;
use crate::lock::lock_attached;
use crate::options::Options;
use crate::options::Sources;

/// The running engine of a process.
pub(crate) struct Host {
    process: u32,
    closed: AtomicBool,
    /// Locked while the engine is closed.
    closing: Mutex<()>,
    waiting: Mutex<usize>,
    nobody_waits: Condvar,
    pub(crate) runtime: Runtime,
    pub(crate) engine: portcullis::Engine,
    /// Where components of registries come from.
    pub(crate) remote: Remote,
    pub(crate) bridge: Bridge,
    sources: Sources,
}

/// The engine of this process, or of the one that it was forked from. It is never dropped: its threads may run until the
/// process ends. A thread that has locked it keeps Python's lock as well, so that no other thread of Python forks the process
/// meanwhile: it would stay locked in the new one.
static HOST: Mutex<Option<Arc<Host>>> = Mutex::new(None);

/// What a start that failed has left for the next: a process has one receiver of logs and one of metrics. No thread of it runs,
/// so that a process that is forked then may have an engine as well.
static BRIDGE: Mutex<Option<Bridge>> = Mutex::new(None);

thread_local! {
    /// How often this thread is among those that wait: more than once if the handler of a signal waits, too.
    static WAITS: Cell<usize> = const { Cell::new(0) };
}

/// How long closing waits for threads that wait for a decision: each notices within [`TICK`].
const CLOSE: Duration = Duration::from_secs(5);

/// How often a thread that waits for a decision looks for signals, and whether the engine is closed.
const TICK: Duration = Duration::from_millis(50);

impl Host {
    /// Starts the engine of this process.
    ///
    /// # Errors
    ///
    /// Returns an error if the process has one already, or was forked from one that had.
    pub(crate) fn start(py: Python<'_>, options: Options) -> PyResult<Arc<Self>> {
        let (host, is_new) = Self::obtain(py, || options)?;
        if is_new {
            return Ok(host);
        }
        Err(EngineError::new_err(
            "this process has an engine already, and needs only one: Engine.current() returns it",
        ))
    }

    /// The engine of this process. It is started with its defaults if there is none.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Arc<Self>> {
        Self::obtain(py, Options::default).map(|(host, _)| host)
    }

    /// The engine of this process for a server whose configuration has these options at `place`. It is started with them if there
    /// is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the running one has others. Where its metrics go is no contradiction: they stay there.
    pub(crate) fn shared(py: Python<'_>, place: &str, options: Options) -> PyResult<Arc<Self>> {
        let sources = options.sources.clone();
        let metrics = options.metrics.as_ref().map(|metrics| metrics.clone_ref(py));
        let (host, is_new) = Self::obtain(py, || options)?;
        if is_new {
            return Ok(host);
        }
        host.check()?;
        let mistakes = sources.contradictions(&host.sources);
        if !mistakes.is_empty() {
            return Err(errors::configuration(py, Some(place), &mistakes));
        }
        if let Some(metrics) = metrics {
            host.bridge.send_metrics_unless_they_go_elsewhere(metrics)?;
        }
        Ok(host)
    }

    /// Whether this process, or the one that it was forked from, has an engine.
    pub(crate) fn is_started(py: Python<'_>) -> bool {
        lock_attached(py, &HOST).is_some()
    }

    /// The engine of this process, and whether it has been started here.
    fn obtain(py: Python<'_>, options: impl FnOnce() -> Options) -> PyResult<(Arc<Self>, bool)> {
        let started = {
            let mut host = lock_attached(py, &HOST);
            if let Some(running) = &*host {
                running.check_process()?;
                return Ok((Arc::clone(running), false));
            }
            let started = Arc::new(Self::new(options())?);
            *host = Some(Arc::clone(&started));
            started
        };
        started.bridge.refresh_levels(py);
        py.import("atexit")?
            .call_method1("register", (wrap_pyfunction!(close_at_exit, py)?,))?;
        Ok((started, true))
    }

    fn new(mut options: Options) -> PyResult<Self> {
        let bridge = lock(&BRIDGE).take().unwrap_or_else(Bridge::new);
        let (sources, metrics) = (options.sources.clone(), options.metrics.take());
        let built = build(options).map_err(|error| EngineError::new_err(error.to_string()));
        // The threads come last: those of a start that failed would be missing in a process that is forked later.
        let started = built.and_then(|built| bridge.start(metrics).map(|()| built));
        let (engine, remote, runtime) = match started {
            Ok(built) => built,
            Err(error) => {
                *lock(&BRIDGE) = Some(bridge);
                return Err(error);
            }
        };
        Ok(Self {
            process: std::process::id(),
            closed: AtomicBool::new(false),
            closing: Mutex::default(),
            waiting: Mutex::new(0),
            nobody_waits: Condvar::new(),
            runtime,
            engine,
            remote,
            bridge,
            sources,
        })
    }

    /// Returns an error unless the engine works in this process.
    pub(crate) fn check(&self) -> PyResult<()> {
        self.check_process()?;
        if self.is_closed() {
            return Err(closed());
        }
        Ok(())
    }

    fn check_process(&self) -> PyResult<()> {
        if self.is_foreign() {
            return Err(ForkError::new_err(format!(
                "the engine was started by process {}, and this is process {}, which was forked from it: start the engine \
                 after the fork (gunicorn: without --preload; multiprocessing: with the start method \"spawn\")",
                self.process,
                std::process::id()
            )));
        }
        Ok(())
    }

    /// Whether this process was forked from the one of the engine.
    pub(crate) fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What this comes to if no plugin has to be asked and nothing is to be waited for, such as a decision that is reused. Otherwise it is
    /// returned, to go on elsewhere: a thread of Python never computes for a plugin.
    pub(crate) fn at_once<T>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Pin<Box<dyn Future<Output = T> + Send>>> {
        let _inside = self.runtime.enter();
        let mut work = Box::pin(work);
        match poll_without_plugins(work.as_mut()) {
            Some(output) => Ok(output),
            None => Err(work),
        }
    }

    /// Runs something on the threads of the engine, and waits for it. Other threads of Python run meanwhile, and the signals of the
    /// process are handled.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> PyResult<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The thread that waited may have been interrupted; then no receiver is left.
            sender.send(work.await).ok();
        });
        let _waiting = self.wait();
        // Only one thread receives, but the type must be one that several may share.
        let receiver = Mutex::new(receiver);
        loop {
            match py.detach(|| lock(&receiver).recv_timeout(TICK)) {
                Ok(output) => return Ok(output),
                Err(RecvTimeoutError::Timeout) => {
                    py.check_signals()?;
                    self.check()?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PortcullisError::new_err(
                        "the decision failed within the host, which is a bug of Portcullis",
                    ));
                }
            }
        }
    }

    /// Counts a thread that waits without Python's lock, until the value is dropped.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        *lock(&self.waiting) += 1;
        WAITS.set(WAITS.get() + 1);
        Waiting(self)
    }

    /// Lets no thread of this engine enter Python any more, and waits until those that wait for a decision are back in
    /// Python: a thread that comes back while the interpreter ends would take the process with it. If it is closed twice, both wait.
    ///
    /// # Errors
    ///
    /// Returns an error on a thread of this engine, which would wait for its own end. The engine goes on.
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_foreign() {
            return Ok(());
        }
        if self.bridge.is_current_thread() {
            if self.is_closed() {
                return Ok(());
            }
            return Err(EngineError::new_err(
                "the engine can't be closed by a function that it calls, such as the handler of a log or the function for metrics, \
                 because it waits for the end of that call: close it on another thread",
            ));
        }
        self.closed.store(true, Ordering::Release);
        // The handler of a signal runs on a thread that may itself wait for a decision, and comes back there.
        let own = WAITS.get();
        py.detach(|| {
            let _one = lock(&self.closing);
            let waiting = lock(&self.waiting);
            let all_back = self
                .nobody_waits
                .wait_timeout_while(waiting, CLOSE, |waiting| *waiting > own);
            drop(all_back);
            self.bridge.stop();
        });
        Ok(())
    }
}

fn build(options: Options) -> Result<(portcullis::Engine, Remote, Runtime), Box<dyn Error>> {
    let mut builder = portcullis::Engine::builder().tls(Arc::new(trust::client_of_system()?));
    let proxy = proxy::of_environment(&Environment::of_process());
    if let Some(proxy) = proxy.clone() {
        builder = builder.proxy(proxy);
    }
    let registries = options.registries.registries(Pulling {
        store_directory: options.sources.store_directory(),
        timeout: None,
        proxy,
    });
    let remote = Remote::new(registries, options.sources.lock_file, Unpinned::Pin);
    if let Some(directory) = options.sources.cache_directory {
        builder = builder.cache_directory(directory);
    }
    if let Some(memory) = options.memory {
        builder = builder.memory(memory);
    }
    if let Some(concurrency) = options.concurrency {
        builder = builder.concurrency(concurrency);
    }
    let engine = builder.build()?;
    let mut runtime = Builder::new_multi_thread();
    if let Some(threads) = options.threads {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.enable_all().thread_name("portcullis").build()?;
    Ok((engine, remote, runtime))
}

/// Closes the engine before the interpreter ends.
#[pyfunction]
fn close_at_exit(py: Python<'_>) -> PyResult<()> {
    let running = lock_attached(py, &HOST).clone();
    running.map_or(Ok(()), |running| running.close(py))
}

/// A thread that waits; see [`Host::wait`].
pub(crate) struct Waiting<'a>(&'a Host);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        WAITS.set(WAITS.get() - 1);
        *lock(&self.0.waiting) -= 1;
        self.0.nobody_waits.notify_all();
    }
}
