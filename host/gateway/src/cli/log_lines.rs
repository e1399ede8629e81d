//! Writes log lines to standard error without ever blocking a request. If the reader is too slow or gone, lines are dropped
//! and counted.

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

/// A non-blocking writer of log lines. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct LogLines {
    sink: Sink,
    counters: Arc<Counters>,
}

#[derive(Clone, Debug)]
enum Sink {
    /// A file on disk. Writing to it doesn't wait for a reader.
    File(Arc<File>),
    /// The queue of a thread that waits for the reader.
    Thread(SyncSender<Message>),
}

#[derive(Debug, Default)]
struct Counters {
    /// The number of bytes in the queue.
    queued_bytes: AtomicUsize,
    /// The number of lines that were dropped since the last line about it.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    /// Signals that all earlier lines have been written.
    Flush(SyncSender<()>),
    Line(Vec<u8>),
}

impl LogLines {
    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// Returns an error if the system can't duplicate the file descriptor or start a thread.
    pub(super) fn on_standard_error() -> io::Result<Self> {
        Self::on(duplicate(&io::stderr())?)
    }

    /// Writes to standard output.
    ///
    /// # Errors
    ///
    /// The same as for standard error.
    pub(super) fn on_standard_output() -> io::Result<Self> {
        Self::on(duplicate(&io::stdout())?)
    }

    fn on(file: File) -> io::Result<Self> {
        if file.metadata()?.is_file() {
            let sink = Sink::File(Arc::new(file));
            let counters = Arc::default();
            return Ok(Self { sink, counters });
        }
        Self::new(file)
    }

    /// Writes to a sink on a separate thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the system can't start a thread.
    fn new(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(MAX_LINES);
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(sink, &messages, &shared))?;
        let sink = Sink::Thread(queue);
        Ok(Self { sink, counters })
    }

    /// Waits until all lines so far are written, or until the timeout if the reader is stuck.
    pub(super) fn flush(&self) {
        let Sink::Thread(queue) = &self.sink else { return };
        let (written, all) = mpsc::sync_channel(1);
        if queue.try_send(Message::Flush(written)).is_ok() {
            // If this fails, the lines can't be written, so there is no way to report it.
            let _ = all.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    pub(super) fn enqueue(&self, line: &[u8]) {
        let queue = match &self.sink {
            Sink::File(file) => {
                if file.as_ref().write_all(line).is_err() {
                    self.counters.count_lost();
                }
                return;
            }
            Sink::Thread(queue) => queue,
        };
        let queued_bytes = self.counters.queued_bytes.fetch_add(line.len(), Ordering::Relaxed);
        if queued_bytes >= MAX_BYTES || queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.counters.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.counters.count_lost();
        }
    }
}

impl Counters {
    fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("portcullis_log_lines_lost_total").increment(1);
    }
}

/// Describes the metric.
pub(super) fn describe() {
    metrics::describe_counter!(
        "portcullis_log_lines_lost_total",
        "Log lines that were dropped because they couldn't be written in time"
    );
}

fn write_all(mut sink: impl Write, messages: &Receiver<Message>, counters: &Counters) {
    for message in messages {
        match message {
            // The receiver is gone if `flush` timed out.
            Message::Flush(written) => _ = written.try_send(()),
            Message::Line(line) => {
                counters.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                if sink.write_all(&line).is_err() {
                    counters.count_lost();
                    continue;
                }
                let lost = counters.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(lost, "log lines were dropped because they couldn't be written in time");
                }
            }
        }
    }
}

/// Duplicates standard error or standard output, to write without its lock. A thread that panics needs the lock too.
///
/// # Errors
///
/// Returns an error if the process can't open more files.
#[cfg(unix)]
fn duplicate(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Duplicates standard error or standard output, to write without its lock. A thread that panics needs the lock too.
///
/// # Errors
///
/// Returns an error if the process can't open more handles.
#[cfg(windows)]
fn duplicate(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    Ok(File::from(stream.as_handle().try_clone_to_owned()?))
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

/// Writes one log line.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a LogLines);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.enqueue(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MAX_LINES: usize = 16 * 1024;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long the process waits at its end until the log is written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::Mutex;

    use super::*;

    /// A reader that blocks until it is open, and fails if it is gone.
    #[derive(Clone, Default)]
    struct Reader(Arc<(Mutex<ReaderState>, Condvar)>);

    #[derive(Default)]
    struct ReaderState {
        open: bool,
        gone: bool,
        received: Vec<u8>,
    }

    impl Reader {
        fn set(&self, change: impl FnOnce(&mut ReaderState)) {
            change(&mut self.0.0.lock().unwrap());
            self.0.1.notify_all();
        }

        fn received(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().received.clone()).unwrap()
        }
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.0.lock().unwrap();
            while !state.open {
                state = self.0.1.wait(state).unwrap();
            }
            if state.gone {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state.received.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_order() {
        let reader = Reader::default();
        reader.set(|state| state.open = true);
        let lines = LogLines::new(reader.clone()).unwrap();
        for number in 0..100 {
            writeln!(lines.make_writer(), "{number}").unwrap();
        }
        lines.flush();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(reader.received(), expected);
    }

    #[test]
    fn a_stuck_reader_blocks_no_writer_and_lines_are_dropped() {
        let reader = Reader::default();
        let lines = LogLines::new(reader.clone()).unwrap();
        let long = vec![b'x'; 64 * 1024];
        for _ in 0..200 {
            lines.enqueue(&long);
        }
        let lost = lines.counters.lost.load(Ordering::Relaxed);
        assert!((100..200).contains(&lost), "{lost}");
        reader.set(|state| state.open = true);
        lines.flush();
        assert_eq!(reader.received().len() as u64, (200 - lost) * 64 * 1024);
        lines.enqueue(b"again");
        lines.flush();
        assert!(reader.received().ends_with("again"));
        assert_eq!(lines.counters.lost.load(Ordering::Relaxed), 0, "the loss was reported");
    }

    #[test]
    fn a_reader_that_is_gone_blocks_no_writer() {
        let reader = Reader::default();
        reader.set(|state| (state.open, state.gone) = (true, true));
        let lines = LogLines::new(reader.clone()).unwrap();
        lines.enqueue(b"one");
        lines.enqueue(b"two");
        lines.flush();
        assert_eq!(reader.received(), "");
        assert_eq!(lines.counters.lost.load(Ordering::Relaxed), 2);
    }
}
