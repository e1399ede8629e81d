//! Where log lines go. Nobody who answers requests waits for whoever reads them: a reader that is slow or gone costs
//! lines, which are counted, and never a request.

use std::fs::File;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// A place for log lines. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct LogLines {
    sink: Sink,
    state: Arc<State>,
}

#[derive(Clone, Debug)]
enum Sink {
    /// A file on a disk, where no reader is waited for.
    File(Arc<File>),
    /// A thread that waits for the reader.
    Thread(SyncSender<Entry>),
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that are in the queue.
    waiting: AtomicUsize,
    /// Lines that were lost since somebody was last told.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Entry {
    /// Says that all lines before are written.
    Flush(SyncSender<()>),
    Line(Vec<u8>),
}

impl LogLines {
    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// When the system has no file or thread to give.
    pub(super) fn on_standard_error() -> io::Result<Self> {
        let file = standard_error()?;
        if file.metadata()?.is_file() {
            let sink = Sink::File(Arc::new(file));
            let state = Arc::default();
            return Ok(Self { sink, state });
        }
        Self::new(file)
    }

    /// Writes to a sink, on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    fn new(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = mpsc::sync_channel(MOST_LINES);
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(sink, &entries, &shared))?;
        let sink = Sink::Thread(queue);
        Ok(Self { sink, state })
    }

    /// Waits until all lines so far are written, but not for a reader that takes none.
    pub(super) fn flush(&self) {
        let Sink::Thread(queue) = &self.sink else { return };
        let (written, all) = mpsc::sync_channel(1);
        if queue.try_send(Entry::Flush(written)).is_ok() {
            // Too late or not at all: nobody is left to be told.
            let _ = all.recv_timeout(PATIENCE);
        }
    }

    fn put(&self, line: &[u8]) {
        let queue = match &self.sink {
            Sink::File(file) => {
                if file.as_ref().write_all(line).is_err() {
                    self.state.lose();
                }
                return;
            }
            Sink::Thread(queue) => queue,
        };
        let waiting = self.state.waiting.fetch_add(line.len(), Ordering::Relaxed);
        if waiting >= MOST_BYTES || queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.state.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.state.lose();
        }
    }
}

impl State {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("portcullis_log_lines_lost_total").increment(1);
    }
}

/// Says what the metric means.
pub(super) fn describe() {
    metrics::describe_counter!("portcullis_log_lines_lost_total", "Log lines that nobody took in time");
}

fn write_all(mut sink: impl Write, entries: &Receiver<Entry>, state: &State) {
    for entry in entries {
        match entry {
            // Whoever asked may have gone.
            Entry::Flush(written) => _ = written.try_send(()),
            Entry::Line(line) => {
                state.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                if sink.write_all(&line).is_err() {
                    state.lose();
                    continue;
                }
                let lost = state.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(lost, "log lines were lost: nobody took them");
                }
            }
        }
    }
}

/// Standard error without its lock, which a thread that panics takes too.
///
/// # Errors
///
/// When the process has no file left for it.
#[cfg(unix)]
fn standard_error() -> io::Result<File> {
    use std::os::fd::AsFd;

    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

/// Standard error without its lock, which a thread that panics takes too.
///
/// # Errors
///
/// When the process has no handle left for it.
#[cfg(windows)]
fn standard_error() -> io::Result<File> {
    use std::os::windows::io::AsHandle;

    Ok(File::from(io::stderr().as_handle().try_clone_to_owned()?))
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

/// One line, which is written at once.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a LogLines);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MOST_LINES: usize = 16 * 1024;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How long the end of the process waits for the reader of its log.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::Mutex;

    use super::*;

    /// A reader that takes lines only while it is open, and fails when it is gone.
    #[derive(Clone, Default)]
    struct Reader(Arc<(Mutex<Held>, Condvar)>);

    #[derive(Default)]
    struct Held {
        open: bool,
        gone: bool,
        taken: Vec<u8>,
    }

    impl Reader {
        fn set(&self, change: impl FnOnce(&mut Held)) {
            change(&mut self.0.0.lock().unwrap());
            self.0.1.notify_all();
        }

        fn taken(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().taken.clone()).unwrap()
        }
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut held = self.0.0.lock().unwrap();
            while !held.open {
                held = self.0.1.wait(held).unwrap();
            }
            if held.gone {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            held.taken.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_order() {
        let reader = Reader::default();
        reader.set(|held| held.open = true);
        let lines = LogLines::new(reader.clone()).unwrap();
        for number in 0..100 {
            writeln!(lines.make_writer(), "{number}").unwrap();
        }
        lines.flush();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(reader.taken(), expected);
    }

    #[test]
    fn a_reader_that_takes_nothing_keeps_nobody_and_costs_lines() {
        let reader = Reader::default();
        let lines = LogLines::new(reader.clone()).unwrap();
        let long = vec![b'x'; 64 * 1024];
        for _ in 0..200 {
            lines.put(&long);
        }
        let lost = lines.state.lost.load(Ordering::Relaxed);
        assert!((100..200).contains(&lost), "{lost}");
        reader.set(|held| held.open = true);
        lines.flush();
        assert_eq!(reader.taken().len() as u64, (200 - lost) * 64 * 1024);
        lines.put(b"again");
        lines.flush();
        assert!(reader.taken().ends_with("again"));
        assert_eq!(lines.state.lost.load(Ordering::Relaxed), 0, "somebody was told");
    }

    #[test]
    fn a_reader_that_is_gone_keeps_nobody() {
        let reader = Reader::default();
        reader.set(|held| (held.open, held.gone) = (true, true));
        let lines = LogLines::new(reader.clone()).unwrap();
        lines.put(b"one");
        lines.put(b"two");
        lines.flush();
        assert_eq!(reader.taken(), "");
        assert_eq!(lines.state.lost.load(Ordering::Relaxed), 2);
    }
}
