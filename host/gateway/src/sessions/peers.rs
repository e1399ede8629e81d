//! Tells other gateways with the same keys which sessions are over. One that can't be reached is told everything when it can.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::header;
use http_body_util::Either;
use http_body_util::Full;
use metrics::counter;
use metrics::describe_counter;
use portcullis::session::Revocation;
use portcullis::session::Revocations;
use portcullis::session::Sessions;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::proxy::Forward;
use crate::proxy::Proxy;
use crate::proxy::UpstreamGroup;
use crate::transport::connection::Slot;

/// Where a gateway is told, on its public listener.
pub(crate) const PATH: &str = "/.portcullis/session/revocations";

/// How many revocations may wait for a gateway. If there are more, it is told everything.
const MAX_WAITING: usize = 1024;

/// How long a gateway may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// After how long one is tried again that couldn't be reached: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The gateways that are told.
#[derive(Default)]
pub(super) struct Peers(Mutex<Vec<Peer>>);

/// One of them, with the task that tells it.
struct Peer {
    queue: mpsc::Sender<Revocation>,
    overflow: Arc<AtomicBool>,
    task: AbortHandle,
}

/// What the task of a gateway has.
struct Teller {
    upstream: Arc<UpstreamGroup>,
    proxy: Proxy,
    list: Arc<Revocations>,
    sessions: Arc<Sessions>,
    waiting: mpsc::Receiver<Revocation>,
    overflow: Arc<AtomicBool>,
}

impl Peers {
    /// Tells these gateways from now on, and those of before nothing more. Each is told everything first: it may have been away.
    pub(super) fn apply(&self, upstreams: &[Arc<UpstreamGroup>], list: &Arc<Revocations>, sessions: &Arc<Sessions>) {
        describe_counter!(
            "portcullis_session_revocations_told_total",
            "Messages to other gateways about sessions that are over"
        );
        let peers = upstreams.iter().map(|upstream| {
            let (queue, waiting) = mpsc::channel(MAX_WAITING);
            let overflow = Arc::new(AtomicBool::new(!list.is_empty()));
            let teller = Teller {
                upstream: Arc::clone(upstream),
                proxy: Proxy::idle(),
                list: Arc::clone(list),
                sessions: Arc::clone(sessions),
                waiting,
                overflow: Arc::clone(&overflow),
            };
            Peer {
                queue,
                overflow,
                task: tokio::spawn(teller.run()).abort_handle(),
            }
        });
        let peers = Vec::from_iter(peers);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = peers;
    }

    /// Tells all gateways of a revocation soon.
    pub(super) fn tell(&self, revocation: Revocation) {
        for peer in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            if peer.queue.try_send(revocation).is_err() {
                peer.overflow.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peers")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Teller {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let told = match self.overflow.swap(false, Ordering::Relaxed) {
                true => self.tell_all().await,
                false => match self.next().await {
                    Some(batch) => self.send(&batch).await,
                    None => return,
                },
            };
            let name = &self.upstream.config.name;
            match told {
                Ok(()) if pause > FIRST_PAUSE => {
                    tracing::info!(peer = name, "another gateway knows again which sessions are over");
                    pause = FIRST_PAUSE;
                }
                Ok(()) => {}
                Err(why) => {
                    self.overflow.store(true, Ordering::Relaxed);
                    if pause == FIRST_PAUSE {
                        tracing::warn!(
                            peer = name,
                            why,
                            "another gateway can't be told which sessions are over: there they go on until it can"
                        );
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// The revocations that wait, at least one. `None` if there will be no more.
    async fn next(&mut self) -> Option<Vec<Revocation>> {
        let mut batch = Vec::new();
        let most = Sessions::MAX_TOLD;
        (self.waiting.recv_many(&mut batch, most).await > 0).then_some(batch)
    }

    async fn tell_all(&mut self) -> Result<(), String> {
        // They are in the list, too.
        while self.waiting.try_recv().is_ok() {}
        for batch in self.list.entries_for_others().chunks(Sessions::MAX_TOLD) {
            self.send(batch).await?;
        }
        Ok(())
    }

    async fn send(&self, batch: &[Revocation]) -> Result<(), String> {
        let sent = tokio::time::timeout(TIMEOUT, self.try_send(batch)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("it did not answer within {} s", TIMEOUT.as_secs())));
        let result = if sent.is_ok() { "ok" } else { "failed" };
        let peer = self.upstream.config.name.clone();
        counter!("portcullis_session_revocations_told_total", "peer" => peer, "result" => result).increment(1);
        sent
    }

    async fn try_send(&self, batch: &[Revocation]) -> Result<(), String> {
        let message = self.sessions.seal_revocations(batch);
        let message = message.ok_or("the message can't be sealed")?;
        let length = message.len();
        let mut head = Request::new(()).into_parts().0;
        head.method = Method::POST;
        let path = format!("{}{PATH}", self.upstream.config.base);
        head.uri = path.parse().map_err(|_| "its URL has no usable path")?;
        let servers = self.upstream.config.servers.first();
        let host = servers.and_then(|server| HeaderValue::try_from(server.address.to_string()).ok());
        head.headers.insert(header::HOST, host.ok_or("its address is no host")?);
        head.headers.insert(header::CONTENT_LENGTH, length.into());
        head.headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        // There is no client, whose place an upgraded connection would keep.
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let request = Forward {
            head,
            body: Either::Right(Full::new(Bytes::from(message))),
            upgrade: None,
            over: None,
            timeout: TIMEOUT,
            slot: Slot::uncounted(slot.map_err(|error| error.to_string())?),
            owner: None,
            trailers: Arc::default(),
        };
        let response = self.proxy.forward(&self.upstream, request).await;
        let response = response.map_err(|unanswered| unanswered.error.to_string())?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!(
                "it answered {status}: do both have the same keys, and the same time?"
            )),
        }
    }
}
