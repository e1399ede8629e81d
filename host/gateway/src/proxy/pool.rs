//! The connection pool of one server, with its limit on connections. An HTTP/1.1 connection carries one request at a
//! time, an HTTP/2 connection carries many.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::body::RequestBody;
use super::connect::Connector;
use super::connect::ReceivedFlag;
use super::connect::Stream;
use super::error::ProxyError;
use crate::config::Keepalive;
use crate::config::UpstreamConfig;

/// The connections to one server.
pub(super) struct Pool {
    connector: Connector,
    pub(super) connect_timeout: Duration,
    /// How long idle connections are kept.
    pub(super) keepalive: Keepalive,
    idle: Mutex<IdleConnections>,
    permits: Arc<Semaphore>,
    /// Wakes a task that waits for a connection, when a connection or a stream becomes free.
    freed: Notify,
    /// Locked while a connection is made that may turn out to be HTTP/2, so that other requests can share it.
    connecting: tokio::sync::Mutex<()>,
    /// Whether the server is known to speak HTTP/1.1, whose connections can't be shared.
    speaks_http1: AtomicBool,
    reaper_started: AtomicBool,
}

/// The connections that the next request can use.
#[derive(Default)]
struct IdleConnections {
    /// Idle HTTP/1.1 connections, the most recently used one last.
    http1: Vec<(Instant, Http1)>,
    /// All HTTP/2 connections, since they can be shared while they carry requests.
    http2: Vec<Http2>,
}

/// An HTTP/1.1 connection.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<RequestBody>,
    pub(super) received: ReceivedFlag,
    /// Whether the server may have authenticated the connection, so that it must not carry another client's requests.
    pub(super) is_bound: bool,
    opened: Instant,
    _permit: OwnedSemaphorePermit,
}

struct Http2 {
    sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
    used: Instant,
    opened: Instant,
    _permit: OwnedSemaphorePermit,
}

/// A stream of an HTTP/2 connection, for one request.
pub(super) struct Http2Stream {
    pub(super) sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
    pool: Arc<Pool>,
    /// The permit of a connection that isn't in the pool. `None` if the connection is shared.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
        self.pool.freed.notify_one();
    }
}

/// Which connection a request needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// Any.
    Any,
    /// One that no other request uses meanwhile, because the request may authenticate it.
    Exclusive,
    /// One of HTTP/1.1, because the request asks for an upgrade.
    Http1,
}

/// A connection for one request.
pub(super) enum PooledConnection {
    Http1(Http1),
    Http2(Http2Stream),
}

impl Pool {
    pub(super) fn new(connector: Connector, upstream: &UpstreamConfig) -> Self {
        Self {
            connector,
            connect_timeout: upstream.connect_timeout,
            keepalive: upstream.keepalive,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(upstream.max_connections)),
            freed: Notify::new(),
            connecting: tokio::sync::Mutex::new(()),
            speaks_http1: AtomicBool::new(false),
            reaper_started: AtomicBool::new(false),
        }
    }

    /// Takes a connection that is already open, if there is one.
    pub(super) fn checkout(self: &Arc<Self>, wanted: Wanted) -> Option<PooledConnection> {
        let mut idle = self.lock();
        if wanted == Wanted::Any {
            // Streams that run on a retired connection keep it open.
            idle.http2.retain(|connection| {
                !connection.sender.is_closed() && connection.opened.elapsed() < self.keepalive.max_age
            });
            let shared = idle
                .http2
                .iter_mut()
                .find(|connection| connection.streams.load(Ordering::Relaxed) < MAX_STREAMS);
            if let Some(connection) = shared {
                connection.used = Instant::now();
                return Some(PooledConnection::Http2(connection.stream(self)));
            }
        }
        while let Some((_, connection)) = idle.http1.pop() {
            if connection.sender.is_ready() {
                return Some(PooledConnection::Http1(connection));
            }
        }
        None
    }

    /// Makes a connection, or takes one that becomes free meanwhile. Either must happen within `connect_timeout`.
    pub(super) async fn connect(self: &Arc<Self>, wanted: Wanted) -> Result<PooledConnection, ProxyError> {
        let mut waits = false;
        let connected = tokio::time::timeout(self.connect_timeout, async {
            let connecting = self.lock_connecting(wanted).await;
            if connecting.is_some()
                && let Some(shared) = self.checkout(wanted)
            {
                return Ok(shared);
            }
            let permit = loop {
                let freed = self.freed.notified();
                if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                    break permit;
                }
                if let Some(idle) = self.checkout(wanted) {
                    return Ok(idle);
                }
                waits = true;
                tokio::select! {
                    // The semaphore is never closed.
                    permit = Arc::clone(&self.permits).acquire_owned() => if let Ok(permit) = permit { break permit },
                    () = freed => {}
                }
            };
            waits = false;
            self.open(wanted, permit).await
        });
        match connected.await {
            Ok(connected) => connected,
            Err(_) if waits => Err(ProxyError::Busy),
            Err(_) => Err(ProxyError::ConnectTimeout),
        }
    }

    /// Waits while another task makes a connection that may turn out to be shareable. Returns `None` if the connection
    /// of this request can't be shared.
    async fn lock_connecting(&self, wanted: Wanted) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let shares = || wanted == Wanted::Any && !self.speaks_http1.load(Ordering::Relaxed);
        if !shares() {
            return None;
        }
        let connecting = self.connecting.lock().await;
        shares().then_some(connecting)
    }

    /// Returns an HTTP/1.1 connection to the pool after its exchange is over, if it can carry another one.
    pub(super) fn give_back(self: &Arc<Self>, mut connection: Http1) {
        if connection.sender.is_ready() {
            return self.put_idle(connection);
        }
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            match connection.sender.ready().await {
                Ok(()) => pool.put_idle(connection),
                Err(_) => {
                    drop(connection);
                    pool.freed.notify_one();
                }
            }
        });
    }

    fn put_idle(self: &Arc<Self>, connection: Http1) {
        let mut idle = self.lock();
        let is_kept = !self.keepalive.http1.is_zero() && connection.opened.elapsed() < self.keepalive.max_age;
        if is_kept && idle.http1.len() < MAX_IDLE {
            idle.http1.push((Instant::now(), connection));
        }
        drop(idle);
        self.freed.notify_one();
        self.start_reaper();
    }

    async fn open(
        self: &Arc<Self>,
        wanted: Wanted,
        permit: OwnedSemaphorePermit,
    ) -> Result<PooledConnection, ProxyError> {
        let connected = self.connector.clone().connect(wanted == Wanted::Http1).await;
        let connected = connected.map_err(ProxyError::connect)?;
        let received = connected.stream.received();
        if connected.is_http2 {
            let sender = http2_handshake(connected.stream).await?;
            if wanted == Wanted::Exclusive {
                return Ok(PooledConnection::Http2(Http2Stream::exclusive(sender, self, permit)));
            }
            let connection = Http2::new(sender, permit);
            let pooled = PooledConnection::Http2(connection.stream(self));
            self.lock().http2.push(connection);
            self.start_reaper();
            return Ok(pooled);
        }
        if wanted != Wanted::Http1 {
            self.speaks_http1.store(true, Ordering::Relaxed);
        }
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEADERS)
            .handshake(TokioIo::new(connected.stream))
            .await
            .map_err(ProxyError::broken)?;
        tokio::spawn(connection.with_upgrades());
        Ok(PooledConnection::Http1(Http1 {
            sender,
            received,
            is_bound: false,
            opened: Instant::now(),
            _permit: permit,
        }))
    }

    /// Starts to close connections that were idle for too long, until the pool is dropped.
    fn start_reaper(self: &Arc<Self>) {
        if self.reaper_started.swap(true, Ordering::Relaxed) {
            return;
        }
        let keepalive = self.keepalive;
        let pause = (keepalive.http1.min(keepalive.http2) / 4).max(MIN_REAPER_PAUSE);
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(pool) = Weak::upgrade(&pool) else { return };
                let mut idle = pool.lock();
                idle.http1
                    .retain(|(used, connection)| used.elapsed() < keepalive.http1 && connection.sender.is_ready());
                idle.http2.retain(|connection| connection.should_stay_open(keepalive));
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn http2_handshake(stream: Stream) -> Result<http2::SendRequest<RequestBody>, ProxyError> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(ProxyError::broken)?;
    tokio::spawn(connection);
    Ok(sender)
}

impl Http2Stream {
    /// A stream of a connection that isn't in the pool and ends with the stream.
    fn exclusive(sender: http2::SendRequest<RequestBody>, pool: &Arc<Pool>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            sender,
            streams: Arc::new(AtomicUsize::new(1)),
            pool: Arc::clone(pool),
            _permit: Some(permit),
        }
    }
}

impl Http2 {
    fn new(sender: http2::SendRequest<RequestBody>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            sender,
            streams: Arc::default(),
            used: Instant::now(),
            opened: Instant::now(),
            _permit: permit,
        }
    }

    fn stream(&self, pool: &Arc<Pool>) -> Http2Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Http2Stream {
            sender: self.sender.clone(),
            streams: Arc::clone(&self.streams),
            pool: Arc::clone(pool),
            _permit: None,
        }
    }

    fn should_stay_open(&self, keepalive: Keepalive) -> bool {
        let is_used = self.streams.load(Ordering::Relaxed) > 0 || self.used.elapsed() < keepalive.http2;
        is_used && !self.sender.is_closed()
    }
}

/// The shortest pause between two searches for idle connections.
const MIN_REAPER_PAUSE: Duration = Duration::from_millis(250);

const MAX_IDLE: usize = 256;

/// The minimum that a server should allow (RFC 9113, section 6.5.2).
const MAX_STREAMS: usize = 100;

/// The largest head of a response.
const MAX_HEADERS: usize = 64 * 1024;
const MAX_HEADER_LIST: u32 = 64 * 1024;

const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
