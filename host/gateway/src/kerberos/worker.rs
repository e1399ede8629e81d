//! One helper process. It handles one token at a time, so a token that crashes it affects only its own request. The process
//! is killed when the value is dropped.

use std::io;
use std::process::Child;
use std::time::Duration;

use portcullis_negotiate_frame::Answer;
use portcullis_negotiate_frame::MAX_FRAME;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::launch::Launch;

/// A helper that is ready for tokens.
#[derive(Debug)]
pub(super) struct Worker {
    socket: UnixStream,
    _process: Process,
}

impl Worker {
    /// Starts a helper and waits until it has loaded its keys.
    pub(super) async fn start(launch: &Launch) -> Result<Self, String> {
        let failed = |error: io::Error| format!("a helper can't be started: {error}");
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let socket = UnixStream::from_std(ours).map_err(failed)?;
        let mut process = Process(Some(launch.spawn(theirs)?));
        let stderr = process.stderr().map_err(failed)?;
        let pid = process.id();
        let mut worker = Self {
            socket,
            _process: process,
        };
        match timeout(START_TIMEOUT, worker.receive()).await {
            Ok(Ok(Answer::Ready)) => {
                tracing::info!(acceptor = launch.acceptor, pid, "a helper is ready");
                tokio::spawn(log_stderr(stderr, launch.acceptor.clone()));
                Ok(worker)
            }
            Ok(Ok(Answer::Unusable(why))) => Err(format!("the keytab can't be used: {}", printable(&why))),
            Ok(Ok(_)) => {
                Err("the helper sent an unexpected message; is it from another version of Portcullis?".to_owned())
            }
            Ok(Err(_)) => Err(format!(
                "the helper exited before it was ready: {}",
                last_stderr(stderr).await
            )),
            Err(_) => Err(format!("the helper wasn't ready within {} s", START_TIMEOUT.as_secs())),
        }
    }

    /// Sends a question and waits for the answer. After an error, or if the future is dropped early, the helper must not be
    /// used again.
    pub(super) async fn exchange(&mut self, question: &[u8]) -> io::Result<Answer> {
        let length = u32::try_from(question.len()).map_err(io::Error::other)?;
        self.socket.write_all(&length.to_be_bytes()).await?;
        self.socket.write_all(question).await?;
        self.receive().await
    }

    /// Whether the process is running and has sent nothing unexpected.
    pub(super) fn is_idle(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = SockRef::from(&self.socket).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn receive(&mut self) -> io::Result<Answer> {
        let length = usize::try_from(self.socket.read_u32().await?).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(io::Error::other("its answer is too long"));
        }
        let mut bytes = vec![0; length];
        self.socket.read_exact(&mut bytes).await?;
        Answer::parse(&bytes).ok_or_else(|| io::Error::other("its answer can't be read"))
    }
}

/// A process that is killed when the value is dropped.
#[derive(Debug)]
struct Process(Option<Child>);

impl Process {
    fn id(&self) -> Option<u32> {
        self.0.as_ref().map(Child::id)
    }

    /// Takes the pipe from the standard error of the process.
    fn stderr(&mut self) -> io::Result<pipe::Receiver> {
        let stderr = self.0.as_mut().and_then(|child| child.stderr.take());
        let stderr = stderr.ok_or_else(|| io::Error::other("it has no standard error"))?;
        pipe::Receiver::from_owned_fd(stderr.into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // This fails if the process has already exited.
        let _ = child.kill();
        let mut reap = move || _ = child.wait();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => _ = runtime.spawn_blocking(reap),
            Err(_) => reap(),
        }
    }
}

/// Logs the first bytes that a helper writes to standard error. The rest is read and discarded, so that the helper never
/// blocks.
async fn log_stderr(mut stderr: pipe::Receiver, acceptor: String) {
    let mut left = MAX_STDERR;
    let mut buffer = vec![0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let text = buffer.get(..read.min(left)).unwrap_or_default();
        left -= text.len();
        if !text.is_empty() {
            tracing::warn!(acceptor, "a helper says: {}", printable(&String::from_utf8_lossy(text)));
        }
    }
}

/// Returns what a helper wrote to standard error before it exited, such as the name of a missing library.
async fn last_stderr(stderr: pipe::Receiver) -> String {
    let mut text = Vec::new();
    let mut stderr = stderr.take(MAX_STDERR as u64);
    let _ = timeout(Duration::from_secs(1), stderr.read_to_end(&mut text)).await;
    match printable(&String::from_utf8_lossy(&text)) {
        text if text.is_empty() => "it gave no reason".to_owned(),
        text => text,
    }
}

/// Returns one line of printable ASCII, because the text may quote what a client sent.
fn printable(text: &str) -> String {
    let visible = |c| if matches!(c, ' '..='~') { c } else { '?' };
    text.trim().chars().map(visible).collect()
}

/// Long enough for the Kerberos library to read its files.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a helper's standard error is logged, in bytes.
const MAX_STDERR: usize = 4096;
