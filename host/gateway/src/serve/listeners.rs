//! All sockets that a configuration asks for: the public ones, those of fronts that ask, and the one that sends clients
//! on to https. They stop together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use tokio::time::Instant;

use crate::config::ListenConfig;
use crate::config::ProxyToken;
use crate::config::ServerConfig;
use crate::config::TlsConfig;
use crate::generation::Generation;
use crate::serve::Gateway;
use crate::serve::Listener;
use crate::serve::ServeError;
use crate::serve::Shutdown;
use crate::serve::connection::Service;
use crate::serve::ext_authz::ExtAuthz;
use crate::serve::forward_auth::ForwardAuth;
use crate::serve::forward_auth::Front;
use crate::serve::passthrough::Passthrough;
use crate::serve::redirect::Redirect;
use crate::serve::socket::Inherited;
use crate::serve::socket::Place;

/// Sockets that listen.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) public: Listener,
    pub(super) passthrough: Option<Arc<Passthrough>>,
    pub(super) forward_auth: Option<Listener>,
    pub(super) ext_authz: Option<Listener>,
    pub(super) redirect: Option<Listener>,
}

impl Listeners {
    /// Binds all of them, or none.
    pub(super) fn bind(config: &ListenConfig, inherited: &mut Inherited) -> Result<Self, ServeError> {
        let server = &config.server;
        let mut bind = |listen, tls| Listener::bind(listen, tls, inherited);
        let public = bind(&server.listen, server.tls.as_ref())?;
        let asking = config.forward_auth.as_ref();
        let asking = asking.and_then(|front| Some((front.listen.as_ref()?, front.tls.as_ref())));
        let forward_auth = asking.map(|(listen, tls)| bind(listen, tls)).transpose()?;
        let ext_authz = config.ext_authz.as_ref();
        let ext_authz = ext_authz
            .map(|front| bind(&front.listen, front.tls.as_ref()))
            .transpose()?;
        let redirect = server.redirect.as_ref();
        let redirect = redirect.map(|redirect| bind(&redirect.listen, None)).transpose()?;
        let behind = |listener: Listener| listener.behind(server.proxy_protocol.clone());
        let passthrough = Passthrough::new(&server.passthrough);
        Ok(Self {
            public: behind(public).beside(passthrough.clone()),
            passthrough,
            forward_auth,
            ext_authz,
            redirect: redirect.map(behind),
        })
    }

    /// Says where they listen, the public ones last. A line carries the port that the system chose when none was
    /// configured.
    pub(super) fn log(&self) {
        for (listener, message) in [
            (self.forward_auth.as_ref(), "listening for forward-auth"),
            (self.ext_authz.as_ref(), "listening for ext_authz"),
            (self.redirect.as_ref(), "redirecting to https"),
            (Some(&self.public), "listening"),
        ] {
            for place in listener.into_iter().flat_map(Listener::places) {
                tracing::info!(address = %place, "{message}");
            }
        }
    }

    /// Where clients are served, for people.
    pub(super) fn status(&self) -> String {
        let places = self.public.places().map(ToString::to_string);
        format!("serving on {}", places.collect::<Vec<_>>().join(", "))
    }

    /// The first public address that isn't a Unix socket.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.public.places().find_map(|place| match place {
            Place::Tcp(address) => Some(*address),
            Place::Unix(_) => None,
        })
    }

    /// The port of https as clients see it.
    fn https_port(&self, server: &ServerConfig) -> u16 {
        let bound = self.address().map(|address| address.port());
        let configured = server.redirect.as_ref().and_then(|redirect| redirect.https_port);
        configured.or(bound).unwrap_or(443)
    }

    /// Serves until the process is told to stop.
    pub(super) async fn serve(self, generation: Arc<Generation>, config: &ListenConfig, stop: Shutdown) {
        let server = &config.server;
        let front = |token: &Option<ProxyToken>, tls: Option<&TlsConfig>| {
            let certified = tls.is_some_and(TlsConfig::requires_certificates);
            Front::new(token.clone(), certified, &server.trusted_proxies)
        };
        let asking = config.forward_auth.as_ref();
        let asking = asking.map(|asking| front(&asking.proxy_token, asking.tls.as_ref()));
        let on_public = asking.clone().filter(|_| self.forward_auth.is_none());
        let redirect = Redirect::new(Arc::clone(&generation), self.https_port(server));
        let gateway = Arc::new(Gateway::new(generation, server, on_public));
        gateway.watch();
        let forward_auth = asking.map(|front| ForwardAuth::new(Arc::clone(&gateway), front));
        let ext_authz = config.ext_authz.as_ref().map(|asking| {
            ExtAuthz::new(
                Arc::clone(&gateway),
                front(&asking.proxy_token, asking.tls.as_ref()),
                server.max_header_size,
            )
        });
        let said = async {
            stop.clone().requested().await;
            tracing::info!("stopping");
        };
        let served = async {
            let ((mut stop, deadline), ..) = tokio::join!(
                deadline(server, stop.clone()),
                self.public.serve(Arc::clone(&gateway), server, stop.clone()),
                serve(self.forward_auth, forward_auth, server, stop.clone()),
                serve(self.ext_authz, ext_authz, server, stop.clone()),
                serve(self.redirect, Some(redirect), server, stop.clone()),
            );
            let passthrough = self.passthrough.as_deref();
            tokio::select! {
                _ = future::join(gateway.gone(), future::join_all(passthrough.map(Passthrough::gone))) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.requested() => {}
            }
            let closed = future::join(gateway.close(), future::join_all(passthrough.map(Passthrough::close)));
            if tokio::time::timeout(CLOSING_TIME, closed).await.is_err() {
                tracing::warn!("upgraded connections were cut off");
            }
        };
        tokio::join!(said, served);
        tracing::info!("stopped");
    }
}

/// When everything has to have ended: `shutdown_timeout` after nobody listens any more.
async fn deadline(server: &ServerConfig, mut stop: Shutdown) -> (Shutdown, Instant) {
    stop.closing(server.drain_delay).await;
    (stop, Instant::now() + server.shutdown_timeout)
}

async fn serve(listener: Option<Listener>, answers: Option<impl Service>, server: &ServerConfig, stop: Shutdown) {
    if let (Some(listener), Some(answers)) = (listener, answers) {
        listener.serve(answers, server, stop).await;
    }
}

/// How long an upgraded connection may take to close.
const CLOSING_TIME: Duration = Duration::from_secs(1);
