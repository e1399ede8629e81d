//! What the host and its plugins log goes to Python's `logging`: to the loggers `portcullis` and below.

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;
use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt;

use super::report;
use super::worker::Queue;
use super::worker::Worker;

/// How many lines may wait for Python. Lines beyond are left out and counted.
const MAX_WAITING: usize = 10_000;

/// How often Python is asked which levels it logs. It doesn't tell when that changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// The thread, and what the log's source has in common with it.
pub(super) struct Logs {
    worker: Worker<Line>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    waiting: AtomicUsize,
    left_out: AtomicUsize,
    /// Whether Python logs levels below INFO.
    debug: AtomicBool,
}

/// One line.
pub(super) struct Line {
    level: Level,
    target: &'static str,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Logs {
    /// Takes what is logged from now on. Lines below INFO are left out until [`Logs::refresh`].
    pub(super) fn new() -> Self {
        let worker = Worker::new("portcullis-logs");
        let state = Arc::new(State::default());
        let source = Source {
            queue: worker.queue(),
            state: Arc::clone(&state),
        };
        // Nothing else in this library could have set another.
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(source)).ok();
        Self { worker, state }
    }

    /// Starts the thread.
    pub(super) fn start(&self) -> PyResult<()> {
        let state = Arc::clone(&self.state);
        self.worker.start(Some(INTERVAL), move |py, lines: Vec<Line>| {
            state.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
            for line in &lines {
                report(py, line.write(py));
            }
            let left_out = state.left_out.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                report(py, Line::left_out(left_out).write(py));
            }
            state.refresh(py);
        })
    }

    /// Asks Python anew which levels it logs.
    pub(super) fn refresh(&self, py: Python<'_>) {
        self.state.refresh(py);
    }

    pub(super) fn is_current_thread(&self) -> bool {
        self.worker.is_current()
    }

    pub(super) fn stop(&self) {
        self.worker.stop();
    }
}

impl State {
    fn refresh(&self, py: Python<'_>) {
        self.debug.store(logs_debug(py).unwrap_or(false), Ordering::Relaxed);
    }
}

/// Whether the logger of the package or one below it logs the level DEBUG.
fn logs_debug(py: Python<'_>) -> PyResult<bool> {
    let logging = py.import("logging")?;
    let manager = logging.getattr("Logger")?.getattr("manager")?;
    let known = manager.getattr("loggerDict")?.try_iter()?;
    let known = known
        .map(|name| name?.extract::<String>())
        .collect::<PyResult<Vec<_>>>()?;
    let below = known
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with(BELOW_ROOT));
    for name in std::iter::once(ROOT).chain(below) {
        let logger = logging.call_method1("getLogger", (name,))?;
        if logger.call_method1("isEnabledFor", (DEBUG,))?.extract()? {
            return Ok(true);
        }
    }
    Ok(false)
}

const ROOT: &str = "portcullis";
const BELOW_ROOT: &str = "portcullis.";
const DEBUG: u8 = 10;

/// The numbers of Python's levels. It has none below DEBUG.
const fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        _ => DEBUG,
    }
}

impl Line {
    fn left_out(count: usize) -> Self {
        Self {
            level: Level::WARN,
            target: ROOT,
            message: format!("{count} lines were left out, because the log is too slow for them"),
            fields: Vec::new(),
        }
    }

    /// Logs the line. Its fields follow the message, and are in the record's attribute `fields` as well.
    fn write(&self, py: Python<'_>) -> PyResult<()> {
        let name = logger_name(self.target);
        let level = number(self.level);
        let logger = py.import("logging")?.call_method1("getLogger", (&name,))?;
        if !logger.call_method1("isEnabledFor", (level,))?.extract()? {
            return Ok(());
        }
        let fields = PyDict::new(py);
        let mut message = self.message.clone();
        for (key, value) in &self.fields {
            fields.set_item(key, value)?;
            // Writing to a string doesn't fail.
            write!(message, " {key}={value}").ok();
        }
        let extra = PyDict::new(py);
        extra.set_item("fields", fields)?;
        let (none, args) = (py.None(), pyo3::types::PyTuple::empty(py));
        let record = (&name, level, ROOT, 0, message, args, &none, &none, extra);
        let record = logger.call_method1("makeRecord", record)?;
        logger.call_method1("handle", (record,)).map(drop)
    }
}

/// The logger of what a module of Rust logs: all are below that of the package.
fn logger_name(target: &str) -> String {
    let name = target.replace("::", ".");
    match name.strip_prefix("portcullis_") {
        Some(rest) => format!("{ROOT}.{rest}"),
        None => name,
    }
}

/// Whether it is a line of one of the crates of Portcullis.
fn is_taken(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with(ROOT)
}

/// Takes what the crates of Portcullis log.
struct Source {
    queue: Queue<Line>,
    state: Arc<State>,
}

impl<S: Subscriber> Layer<S> for Source {
    /// What a place in the code logs below INFO is asked about each time, because Python may change which levels it logs. `tracing`
    /// keeps every other answer.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if !is_taken(metadata) {
            Interest::never()
        } else if *metadata.level() <= Level::INFO {
            Interest::always()
        } else {
            Interest::sometimes()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_taken(metadata) && (*metadata.level() <= Level::INFO || self.state.debug.load(Ordering::Relaxed))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.state.waiting.load(Ordering::Relaxed) >= MAX_WAITING {
            self.state.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut line = Line {
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue.push(line);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ if value.is_empty() => {}
            name => self.fields.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
