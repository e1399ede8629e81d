//! Accepts connections up to a limit. When the gateway stops, running requests may finish, and likewise when a reload takes
//! a socket away.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::future;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;
use tokio::sync::Notify;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::config::ServerConfig;
use crate::tls::Tls;
use crate::transport::connection::Service;
use crate::transport::connection::SlotGauges;
use crate::transport::connection::SocketTokens;
use crate::transport::handler::ConnectionHandler;
use crate::transport::passthrough::Passthrough;
use crate::transport::shutdown::Shutdown;
use crate::transport::socket::Socket;
use crate::transport::socket::Stream;

/// What a listener serves: its sockets, and the rules for their connections. A reload replaces it.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// The sockets. Empty if the configuration has no such listener.
    pub(crate) sockets: Vec<Arc<Socket>>,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// The proxies from which every connection comes, which begin it with the PROXY protocol. `None` without the protocol.
    pub(crate) proxy_protocol: Option<TrustedProxies>,
    /// The hosts whose TLS connections are forwarded. `None` if the listener has none.
    pub(crate) passthrough: Option<Arc<Passthrough>>,
    /// The bounds of its connections.
    pub(crate) config: ServerConfig,
}

impl Listener {
    /// Whether a client that was accepted by the rules of `other` would be accepted by these in the same way.
    fn accepts_like(&self, other: &Self) -> bool {
        self.has_tls_of(other) && self.proxy_protocol == other.proxy_protocol
    }

    fn has_tls_of(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(tls), Some(other)) => tls.is(other),
            _ => false,
        }
    }

    fn slots(&self) -> usize {
        self.config.max_connections.unwrap_or(MAX_CONNECTIONS)
    }

    /// Tells the metrics how many connections there may be.
    fn report_slots(&self, gauges: &SlotGauges) {
        gauges.set_most(if self.sockets.is_empty() { 0 } else { self.slots() });
    }
}

/// Passes a listener to the task that serves it. It keeps nothing, so that a socket closes when the task drops it.
#[derive(Debug, Default)]
pub(crate) struct ListenerSlot {
    next: Mutex<Option<Listener>>,
    changed: Notify,
}

impl ListenerSlot {
    /// Makes the task serve another listener.
    pub(crate) fn replace(&self, listener: Listener) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        self.changed.notify_one();
    }

    async fn next(&self) -> Listener {
        loop {
            let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
            match next {
                Some(next) => return next,
                None => self.changed.notified().await,
            }
        }
    }
}

/// Serves what is in the slot until a stop is requested, and `drain_delay` after that. Then no more connections are
/// accepted, and running requests may finish within `shutdown_timeout`. `gauges` count the connections.
pub(crate) async fn serve(
    slot: Arc<ListenerSlot>,
    gauges: SlotGauges,
    service: impl Service,
    mut stop: Shutdown,
    drain_delay: impl FnOnce() -> Duration,
) {
    let mut accept_loop = AcceptLoop::new(slot.next().await, gauges, service, stop.clone());
    let mut draining = stop.clone();
    // Outside of the loop, since a reload at this moment must not make the drain begin anew.
    let mut drained = pin!(async move {
        draining.drained(drain_delay).await;
        draining
    });
    // This goes on through reloads, which may come more often than it looks at the files.
    let mut certificates = Box::pin(reload(accept_loop.current.tls.clone()));
    loop {
        tokio::select! {
            after = &mut drained => {
                stop = after;
                break;
            }
            () = accept_loop.accept_all() => {}
            () = &mut certificates => {}
            next = slot.next() => {
                if !next.has_tls_of(&accept_loop.current) {
                    certificates = Box::pin(reload(next.tls.clone()));
                }
                accept_loop.follow(next);
            }
        }
    }
    let shutdown_timeout = accept_loop.current.config.shutdown_timeout;
    let connections = accept_loop.close();
    tokio::select! {
        () = connections.wait() => {}
        () = tokio::time::sleep(shutdown_timeout) => tracing::warn!("requests were cut off at the shutdown timeout"),
        () = stop.requested() => tracing::warn!("requests were cut off by a second signal"),
    }
}

/// Spawns a handler for each accepted connection.
struct AcceptLoop<S> {
    current: Listener,
    sockets: Vec<DrainableSocket>,
    handler: ConnectionHandler<S>,
    slots: Arc<Semaphore>,
    gauges: SlotGauges,
    /// How many slots are in use beyond the number that there should be.
    surplus: usize,
    connections: TaskTracker,
    turn: usize,
    stop: Shutdown,
}

/// A socket, and what ends its connections.
struct DrainableSocket {
    socket: Arc<Socket>,
    tokens: SocketTokens,
}

impl DrainableSocket {
    fn new(socket: Arc<Socket>) -> Self {
        let tokens = SocketTokens::default();
        Self { socket, tokens }
    }
}

impl<S: Service> AcceptLoop<S> {
    fn new(listener: Listener, gauges: SlotGauges, service: S, stop: Shutdown) -> Self {
        listener.report_slots(&gauges);
        Self {
            gauges,
            sockets: listener.sockets.iter().cloned().map(DrainableSocket::new).collect(),
            handler: ConnectionHandler::new(&listener, service, stop.clone()),
            slots: Arc::new(Semaphore::new(listener.slots())),
            surplus: 0,
            connections: TaskTracker::new(),
            turn: 0,
            current: listener,
            stop,
        }
    }

    /// Takes up other sockets and rules. Connections of a socket that is gone are drained; so are those that were accepted
    /// by other rules, on which no more requests begin, since these rules may be what let their clients in. All other
    /// connections go on.
    fn follow(&mut self, next: Listener) {
        let is_kept = |socket: &DrainableSocket| next.sockets.iter().any(|kept| Arc::ptr_eq(kept, &socket.socket));
        let has_other_rules = !next.accepts_like(&self.current);
        let (kept, gone): (Vec<_>, Vec<_>) = self.sockets.drain(..).partition(is_kept);
        self.sockets = kept;
        for DrainableSocket { socket, tokens } in gone {
            self.accept_waiting(&socket, &tokens);
            tokens.drain(has_other_rules);
        }
        if has_other_rules {
            for socket in &mut self.sockets {
                std::mem::take(&mut socket.tokens).drain(true);
            }
        }
        for socket in &next.sockets {
            if !self.sockets.iter().any(|known| Arc::ptr_eq(&known.socket, socket)) {
                self.sockets.push(DrainableSocket::new(Arc::clone(socket)));
            }
        }
        self.resize(next.slots());
        next.report_slots(&self.gauges);
        self.handler = ConnectionHandler::new(&next, self.handler.service.clone(), self.stop.clone());
        self.current = next;
    }

    /// Changes the number of slots. If there are fewer, the next connections wait until enough others have ended.
    fn resize(&mut self, slots: usize) {
        let before = self.current.slots();
        let raised = slots.saturating_sub(before);
        let paid = raised.min(self.surplus);
        self.slots.add_permits(raised - paid);
        let lowered = before.saturating_sub(slots);
        self.surplus = self.surplus - paid + lowered - self.slots.forget_permits(lowered);
    }

    /// Stops to accept. Returns the connections that are still served.
    fn close(self) -> TaskTracker {
        for DrainableSocket { socket, tokens } in &self.sockets {
            self.accept_waiting(socket, tokens);
            tokens.drain(false);
        }
        self.connections.close();
        self.connections
    }

    async fn accept_all(&mut self) {
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            if let Some(left) = self.surplus.checked_sub(1) {
                slot.forget();
                self.surplus = left;
                continue;
            }
            let (stream, peer, tokens) = accept_any(&self.sockets, self.turn).await;
            self.turn = self.turn.wrapping_add(1);
            let tracked = self.connections.token();
            let handler = self.handler.clone().until(tokens.clone());
            tokio::spawn(handler.run(stream, peer, self.gauges.occupy(slot), tracked));
        }
    }

    /// Handles the connections in the queue of a socket as soon as there are free slots.
    fn accept_waiting(&self, socket: &Socket, tokens: &SocketTokens) {
        for (stream, peer) in socket.waiting() {
            let (slots, handler) = (Arc::clone(&self.slots), self.handler.clone().until(tokens.clone()));
            let (gauges, tracked) = (self.gauges.clone(), self.connections.token());
            tokio::spawn(async move {
                // The semaphore is never closed.
                if let Ok(slot) = slots.acquire_owned().await {
                    handler.run(stream, peer, gauges.occupy(slot), tracked).await;
                }
            });
        }
    }
}

/// The next connection of any socket. The socket that is polled first rotates, so that a busy one doesn't starve
/// others.
async fn accept_any(sockets: &[DrainableSocket], turn: usize) -> (Stream, Peer, &SocketTokens) {
    let Some(first) = turn.checked_rem(sockets.len()) else {
        return future::pending().await;
    };
    let sockets = sockets.iter().cycle().skip(first).take(sockets.len());
    let accepted = sockets.map(|DrainableSocket { socket, tokens }| {
        Box::pin(async move {
            let (stream, peer) = accept(socket).await;
            (stream, peer, tokens)
        })
    });
    future::select_all(accepted).await.0
}

/// The next connection of a socket. If the system runs out of files or memory, this pauses before it tries again: a
/// busy loop would take the processor from the requests that free them.
async fn accept(socket: &Socket) -> (Stream, Peer) {
    let mut pause = FIRST_PAUSE;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections can't be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Reloads the certificates when they change. This never completes.
async fn reload(tls: Option<Tls>) {
    match tls {
        Some(tls) => tls.reload().await,
        None => future::pending().await,
    }
}

fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind;

    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

const MAX_CONNECTIONS: usize = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
