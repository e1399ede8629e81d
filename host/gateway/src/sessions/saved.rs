//! A thread that writes revocations to the file of the state folder, and reads what other processes have added there. No request
//! waits for a disk.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use metrics::counter;
use metrics::describe_counter;
use portcullis::session::Revocation;
use portcullis::session::Revocations;
use tokio::sync::oneshot;

use super::file::RevocationFile;

/// How many revocations may wait for the disk. If there are more, the whole list is written.
const MAX_WAITING: usize = 1024;

/// How long the end of the process waits for the disk.
const MAX_WRITING: Duration = Duration::from_secs(5);

/// How often the file is looked at, for what other processes have added.
const LOOK: Duration = Duration::from_secs(1);

/// The file of a state folder. A clone is the same file.
#[derive(Clone, Debug)]
pub(super) struct Saved(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    queue: mpsc::SyncSender<Work>,
    waiting: Mutex<Option<mpsc::Receiver<Work>>>,
    overflow: std::sync::atomic::AtomicBool,
}

/// What the thread has to do.
#[derive(Debug)]
enum Work {
    /// Write this down.
    Add(Revocation),
    /// Tell when everything before is written.
    Tell(oneshot::Sender<()>),
}

impl Saved {
    /// The file in this folder, which exists.
    pub(super) fn new(folder: &Path) -> Self {
        describe_counter!(
            "portcullis_session_revocations_unsaved_total",
            "Failed attempts to write down which sessions are over"
        );
        let (queue, waiting) = mpsc::sync_channel(MAX_WAITING);
        Self(Arc::new(Inner {
            folder: folder.to_owned(),
            queue,
            waiting: Mutex::new(Some(waiting)),
            overflow: false.into(),
        }))
    }

    /// Reads the file into the list, and starts the thread that writes to it.
    pub(super) fn begin(&self, list: Arc<Revocations>) {
        let mut file = RevocationFile::new(&self.0.folder);
        let read = file.read(&list);
        let mut is_dirty = false;
        if let Err(error) = read {
            tracing::error!(
                file = %file.path().display(),
                %error,
                "it can't be read which sessions are over: all that began until now are, and everybody logs in again"
            );
            list.revoke_all(u64::try_from(now().as_millis()).unwrap_or(u64::MAX));
            is_dirty = true;
        }
        // What a broken file has cost is written down at once.
        is_dirty |= list.all_until().is_some() && !file.path().exists();
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return };
        let inner = Arc::downgrade(&self.0);
        let list = Arc::downgrade(&list);
        let work = move || write(file, &waiting, &list, &inner, is_dirty);
        if let Err(error) = thread::Builder::new().name("revocations".to_owned()).spawn(work) {
            tracing::error!(%error, "no thread can write down which sessions are over");
        }
    }

    /// Writes a revocation down soon.
    pub(super) fn add(&self, revocation: Revocation) {
        if self.0.queue.try_send(Work::Add(revocation)).is_err() {
            self.0.overflow.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Waits until what was added is written down, or couldn't be.
    pub(super) async fn written(&self) {
        let (tell, told) = oneshot::channel();
        if self.0.queue.try_send(Work::Tell(tell)).is_ok() {
            // Both errors mean that nothing more is written.
            let _ = tokio::time::timeout(MAX_WRITING, told).await;
        }
    }
}

/// Runs until the list is gone.
fn write(
    mut file: RevocationFile,
    waiting: &mpsc::Receiver<Work>,
    list: &Weak<Revocations>,
    inner: &Weak<Inner>,
    mut is_dirty: bool,
) {
    let mut is_told = false;
    loop {
        let first = match waiting.recv_timeout(LOOK) {
            Ok(first) => Some(first),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let Some(list) = list.upgrade() else { return };
        let (mut batch, mut curious) = (Vec::new(), Vec::new());
        for work in first.into_iter().chain(waiting.try_iter().take(MAX_WAITING)) {
            match work {
                Work::Add(revocation) => batch.push(revocation),
                Work::Tell(tell) => curious.push(tell),
            }
        }
        let overflow = |inner: Arc<Inner>| inner.overflow.swap(false, std::sync::atomic::Ordering::Relaxed);
        is_dirty |= inner.upgrade().is_some_and(overflow);
        let done = match (is_dirty, batch.as_slice()) {
            (true, _) => file.replace(&list),
            (false, []) => file.read(&list),
            (false, batch) => file.append(&list, batch),
        };
        // Whoever asked may be gone.
        curious.into_iter().for_each(|tell| _ = tell.send(()));
        match done {
            Ok(()) => {
                // What was broken is written anew.
                is_dirty = list.all_until().is_some() && !file.path().exists();
                is_told = false;
            }
            Err(error) => {
                is_dirty = true;
                counter!("portcullis_session_revocations_unsaved_total").increment(1);
                if !is_told {
                    tracing::error!(
                        file = %file.path().display(),
                        %error,
                        "it can't be written down which sessions are over: after a restart they would be valid again"
                    );
                }
                is_told = true;
                // The disk may have room later.
                thread::sleep(LOOK);
            }
        }
    }
}

fn now() -> Duration {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default()
}
