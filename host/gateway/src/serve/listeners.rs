//! All listeners of a configuration: the public one, those for fronts, and the one that redirects to https. A reload opens,
//! changes and closes them; they stop together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future;
use tokio::time::Instant;

use crate::audit_trail::CurrentTrail;
use crate::config::Digests;
use crate::forward_auth::ForwardAuth;
use crate::forward_auth::grpc::ExtAuthz;
use crate::generation::Generation;
use crate::pipeline::Gateway;
use crate::serve::access::CurrentAccessLog;
use crate::serve::kind::ListenerKind;
use crate::serve::public::Public;
use crate::serve::redirect::Redirect;
use crate::tls::SharedTickets;
use crate::tls::Tls;
use crate::transport::BoundAddress;
use crate::transport::Inherited;
use crate::transport::OpenSockets;
use crate::transport::Opened;
use crate::transport::ServeError;
use crate::transport::Shutdown;
use crate::transport::connection::Service;
use crate::transport::connection::SlotGauges;
use crate::transport::listener;
use crate::transport::listener::Listener;
use crate::transport::listener::ListenerSlot;
use crate::transport::passthrough::Passthrough;

/// The listeners, as a reload changes them. [`Listeners::serve`] serves them.
#[derive(Debug)]
pub(crate) struct Listeners {
    sockets: OpenSockets,
    tls: BTreeMap<ListenerKind, MadeTls>,
    served: Served,
}

/// TLS, and the configuration that it was made of.
#[derive(Clone, Debug)]
struct MadeTls {
    of: Digests,
    /// What its tickets are made of. `None` if it shares none.
    tickets: Option<String>,
    tls: Tls,
}

/// What the tasks that serve the listeners follow.
#[derive(Clone, Debug)]
struct Served {
    slots: BTreeMap<ListenerKind, Arc<ListenerSlot>>,
    passthrough: Arc<Passthrough>,
    https_port: Arc<AtomicU16>,
}

/// The listeners of a generation that isn't in use yet. Its new sockets are open, so that nothing can fail any more.
#[derive(Debug)]
pub(crate) struct Prepared {
    opened: Opened,
    tls: BTreeMap<ListenerKind, MadeTls>,
}

impl Listeners {
    /// No listeners yet. `inherited` are the sockets that systemd passed. A connection that is passed through must have room in
    /// `audit` for its lines.
    pub(crate) fn new(inherited: Inherited, audit: CurrentTrail) -> Self {
        Self {
            sockets: OpenSockets::new(inherited),
            tls: BTreeMap::new(),
            served: Served {
                slots: ListenerKind::ALL.map(|kind| (kind, Arc::default())).into(),
                passthrough: Arc::new(Passthrough::new(audit)),
                https_port: Arc::default(),
            },
        }
    }

    /// Opens the new sockets of a generation, all or none. Nothing that is served changes yet.
    pub(crate) fn prepare(&self, generation: &Generation) -> Result<Prepared, ServeError> {
        let config = generation.listen();
        let mut tls = BTreeMap::new();
        let mut wanted = Vec::new();
        for kind in ListenerKind::ALL {
            wanted.extend(kind.listen(config).map(|listen| (kind.section(), listen)));
            let Some(config) = kind.tls(config) else { continue };
            let of = generation.digests().below(&[kind.section(), "tls"]);
            // The same configuration keeps its certificates, which are replaced when their files change.
            let clients = config.clients.as_ref();
            let shared = config
                .shared_tickets
                .then(|| SharedTickets::new(generation.keys().to_vec(), clients));
            let tickets = shared.as_ref().and_then(SharedTickets::identity);
            let known = self
                .tls
                .get(&kind)
                .filter(|known| known.of == of && known.tickets == tickets);
            let made = match known {
                Some(known) => known.tls.clone(),
                None => Tls::new(config.certificates.clone(), clients, shared)?,
            };
            tls.insert(kind, MadeTls { of, tickets, tls: made });
        }
        let opened = self.sockets.open(&wanted)?;
        Ok(Prepared { opened, tls })
    }

    /// Serves what was prepared for this generation.
    pub(crate) fn apply(&mut self, prepared: Prepared, generation: &Generation) {
        let server = &generation.listen().server;
        prepared.log(&self.sockets);
        for address in self.sockets.keep(&prepared.opened) {
            tracing::info!(%address, "no longer listening");
        }
        self.tls = prepared.tls.clone();
        let port = server.redirect.as_ref().and_then(|redirect| redirect.https_port);
        let port = port.or_else(|| prepared.address(ListenerKind::Public).map(|address| address.port()));
        self.served.https_port.store(port.unwrap_or(443), Ordering::Relaxed);
        self.served.passthrough.replace(&server.passthrough);
        for (kind, slot) in &self.served.slots {
            let has_passthrough = *kind == ListenerKind::Public && !server.passthrough.is_empty();
            slot.replace(Listener {
                sockets: prepared.opened.of(kind.section()),
                tls: prepared.tls.get(kind).map(|made| made.tls.clone()),
                proxy_protocol: server.proxy_protocol.clone().filter(|_| kind.is_for_clients()),
                passthrough: has_passthrough.then(|| Arc::clone(&self.served.passthrough)),
                config: server.clone(),
            });
        }
    }

    /// Warns about sockets of systemd that no listener has taken.
    pub(crate) fn warn_about_unused(&self) {
        self.sockets.warn_about_unused();
    }

    /// Serves the listeners until a stop is requested. The future doesn't borrow them, so that a reload can change them.
    pub(crate) fn serve(
        &self,
        gateway: Arc<Gateway>,
        access_log: CurrentAccessLog,
        stop: Shutdown,
    ) -> impl Future<Output = ()> + use<> {
        self.served.clone().serve(gateway, access_log, stop)
    }
}

impl Prepared {
    /// The public addresses, as a status line for people.
    pub(crate) fn status(&self) -> String {
        let public = self.opened.of(ListenerKind::Public.section());
        let addresses = public.iter().map(|socket| socket.address().to_string());
        format!("serving on {}", Vec::from_iter(addresses).join(", "))
    }

    /// The first address of a listener that isn't a Unix socket.
    pub(crate) fn address(&self, kind: ListenerKind) -> Option<SocketAddr> {
        let sockets = self.opened.of(kind.section());
        sockets.iter().find_map(|socket| match socket.address() {
            BoundAddress::Tcp(address) => Some(*address),
            BoundAddress::Unix(_) => None,
        })
    }

    /// Logs the new addresses, those of the public listener last. For port 0, the line has the port that the system chose.
    fn log(&self, before: &OpenSockets) {
        for kind in ListenerKind::ALL {
            for socket in self.opened.of(kind.section()) {
                if !before.has(kind.section(), &socket) {
                    tracing::info!(address = %socket.address(), "{}", kind.message());
                }
            }
        }
    }
}

impl Served {
    async fn serve(self, gateway: Arc<Gateway>, access_log: CurrentAccessLog, stop: Shutdown) {
        let public = Public::new(Arc::clone(&gateway), access_log);
        let forward_auth = ForwardAuth::new(Arc::clone(&gateway));
        let ext_authz = ExtAuthz::new(Arc::clone(&gateway));
        let redirect = Redirect::new(Arc::clone(&gateway), Arc::clone(&self.https_port));
        let announced = async {
            stop.clone().requested().await;
            tracing::info!("stopping");
        };
        let served = async {
            let ((mut stop, deadline), ..) = tokio::join!(
                deadline(&gateway, stop.clone()),
                self.listen(ListenerKind::Public, public, &gateway, &stop),
                self.listen(ListenerKind::ForwardAuth, forward_auth, &gateway, &stop),
                self.listen(ListenerKind::ExtAuthz, ext_authz, &gateway, &stop),
                self.listen(ListenerKind::Redirect, redirect, &gateway, &stop),
            );
            tokio::select! {
                _ = future::join(gateway.gone(), self.passthrough.finished()) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.requested() => {}
            }
            let closed = future::join(gateway.close(), self.passthrough.close());
            if tokio::time::timeout(CLOSING_TIME, closed).await.is_err() {
                tracing::warn!("upgraded connections were cut off");
            }
        };
        tokio::join!(announced, served);
        tracing::info!("stopped");
    }

    async fn listen(&self, kind: ListenerKind, service: impl Service, gateway: &Gateway, stop: &Shutdown) {
        if let Some(slot) = self.slots.get(&kind) {
            let delay = || gateway.generation().listen().server.drain_delay;
            let gauges = SlotGauges::register(kind.section());
            listener::serve(Arc::clone(slot), gauges, service, stop.clone(), delay).await;
        }
    }
}

/// The deadline of the shutdown: `shutdown_timeout` after the listeners closed.
async fn deadline(gateway: &Gateway, mut stop: Shutdown) -> (Shutdown, Instant) {
    stop.drained(|| gateway.generation().listen().server.drain_delay).await;
    let timeout = gateway.generation().listen().server.shutdown_timeout;
    (stop, Instant::now() + timeout)
}

/// How long an upgraded connection may take to close.
const CLOSING_TIME: Duration = Duration::from_secs(1);
