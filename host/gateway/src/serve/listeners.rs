//! All listeners of a configuration: the public one, those for fronts, and the one that redirects to https. They stop
//! together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use tokio::time::Instant;

use crate::config::ListenConfig;
use crate::config::ProxyToken;
use crate::config::ServerConfig;
use crate::config::TlsConfig;
use crate::forward_auth::ForwardAuth;
use crate::forward_auth::FrontProxy;
use crate::forward_auth::grpc::ExtAuthz;
use crate::pipeline::Gateway;
use crate::serve::access::AccessLog;
use crate::serve::public::Public;
use crate::serve::redirect::Redirect;
use crate::transport::BoundAddress;
use crate::transport::Inherited;
use crate::transport::Listener;
use crate::transport::ServeError;
use crate::transport::Shutdown;
use crate::transport::connection::Service;
use crate::transport::passthrough::Passthrough;

/// The bound listeners.
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
        let front = config.forward_auth.as_ref();
        let front = front.and_then(|front| Some((front.listen.as_ref()?, front.tls.as_ref())));
        let forward_auth = front.map(|(listen, tls)| bind(listen, tls)).transpose()?;
        let ext_authz = config.ext_authz.as_ref();
        let ext_authz = ext_authz
            .map(|front| bind(&front.listen, front.tls.as_ref()))
            .transpose()?;
        let redirect = server.redirect.as_ref();
        let redirect = redirect.map(|redirect| bind(&redirect.listen, None)).transpose()?;
        let with_proxies = |listener: Listener| listener.require_proxy_protocol(server.proxy_protocol.clone());
        let passthrough = Passthrough::new(&server.passthrough);
        Ok(Self {
            public: with_proxies(public).with_passthrough(passthrough.clone()),
            passthrough,
            forward_auth,
            ext_authz,
            redirect: redirect.map(with_proxies),
        })
    }

    /// Logs the addresses, those of the public listener last. For port 0, the line has the port that the system chose.
    pub(super) fn log(&self) {
        for (listener, message) in [
            (self.forward_auth.as_ref(), "listening for forward-auth"),
            (self.ext_authz.as_ref(), "listening for ext_authz"),
            (self.redirect.as_ref(), "redirecting to https"),
            (Some(&self.public), "listening"),
        ] {
            for address in listener.into_iter().flat_map(Listener::addresses) {
                tracing::info!(%address, "{message}");
            }
        }
    }

    /// The public addresses, as a status line for people.
    pub(super) fn status(&self) -> String {
        let addresses = self.public.addresses().map(ToString::to_string);
        format!("serving on {}", addresses.collect::<Vec<_>>().join(", "))
    }

    /// The first public address that isn't a Unix socket.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.public.addresses().find_map(|address| match address {
            BoundAddress::Tcp(address) => Some(*address),
            BoundAddress::Unix(_) => None,
        })
    }

    /// The port at which clients reach https.
    fn https_port(&self, server: &ServerConfig) -> u16 {
        let bound = self.address().map(|address| address.port());
        let configured = server.redirect.as_ref().and_then(|redirect| redirect.https_port);
        configured.or(bound).unwrap_or(443)
    }

    /// Serves until a stop is requested.
    pub(super) async fn serve(
        self,
        gateway: Arc<Gateway>,
        config: &ListenConfig,
        access_log: Option<AccessLog>,
        stop: Shutdown,
    ) {
        let server = &config.server;
        let front = |token: &Option<ProxyToken>, tls: Option<&TlsConfig>| {
            let certified = tls.is_some_and(TlsConfig::requires_certificates);
            FrontProxy::new(token.clone(), certified, &server.trusted_proxies)
        };
        let auth_front = config.forward_auth.as_ref();
        let auth_front = auth_front.map(|config| front(&config.proxy_token, config.tls.as_ref()));
        let on_public = auth_front.clone().filter(|_| self.forward_auth.is_none());
        let redirect = Redirect::new(Arc::clone(&gateway), self.https_port(server));
        let public = Public::new(Arc::clone(&gateway), on_public, access_log);
        let forward_auth = auth_front.map(|front| ForwardAuth::new(Arc::clone(&gateway), front));
        let ext_authz = config.ext_authz.as_ref().map(|config| {
            ExtAuthz::new(
                Arc::clone(&gateway),
                front(&config.proxy_token, config.tls.as_ref()),
                server.max_header_size,
            )
        });
        let announced = async {
            stop.clone().requested().await;
            tracing::info!("stopping");
        };
        let served = async {
            let ((mut stop, deadline), ..) = tokio::join!(
                deadline(server, stop.clone()),
                self.public.serve(public, server, stop.clone()),
                serve(self.forward_auth, forward_auth, server, stop.clone()),
                serve(self.ext_authz, ext_authz, server, stop.clone()),
                serve(self.redirect, Some(redirect), server, stop.clone()),
            );
            let passthrough = self.passthrough.as_deref();
            tokio::select! {
                _ = future::join(gateway.gone(), future::join_all(passthrough.map(Passthrough::finished))) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.requested() => {}
            }
            let closed = future::join(gateway.close(), future::join_all(passthrough.map(Passthrough::close)));
            if tokio::time::timeout(CLOSING_TIME, closed).await.is_err() {
                tracing::warn!("upgraded connections were cut off");
            }
        };
        tokio::join!(announced, served);
        tracing::info!("stopped");
    }
}

/// The deadline of the shutdown: `shutdown_timeout` after the listeners closed.
async fn deadline(server: &ServerConfig, mut stop: Shutdown) -> (Shutdown, Instant) {
    stop.drained(server.drain_delay).await;
    (stop, Instant::now() + server.shutdown_timeout)
}

async fn serve(listener: Option<Listener>, service: Option<impl Service>, server: &ServerConfig, stop: Shutdown) {
    if let (Some(listener), Some(service)) = (listener, service) {
        listener.serve(service, server, stop).await;
    }
}

/// How long an upgraded connection may take to close.
const CLOSING_TIME: Duration = Duration::from_secs(1);
