//! All sockets that a configuration asks for: the public one, and those of fronts that ask. They stop together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

/// Sockets that listen.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) public: Listener,
    pub(super) forward_auth: Option<Listener>,
    pub(super) ext_authz: Option<Listener>,
}

impl Listeners {
    /// Binds all of them, or none.
    pub(super) async fn bind(config: &ListenConfig) -> Result<Self, ServeError> {
        let forward_auth = config.forward_auth.as_ref();
        let forward_auth = forward_auth.and_then(|front| Some((front.listen?, front.tls.as_ref())));
        let ext_authz = config.ext_authz.as_ref();
        let ext_authz = ext_authz.map(|front| (front.listen, front.tls.as_ref()));
        Ok(Self {
            public: Listener::bind(config.server.listen, config.server.tls.as_ref()).await?,
            forward_auth: bind(forward_auth, "listening for forward-auth").await?,
            ext_authz: bind(ext_authz, "listening for ext_authz").await?,
        })
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
        let mut asked = stop.clone();
        let said = async {
            asked.requested().await;
            tracing::info!("stopping");
        };
        let served = async {
            tokio::join!(
                self.public.serve(Arc::clone(&gateway), server, stop.clone()),
                serve(self.forward_auth, forward_auth, server, stop.clone()),
                serve(self.ext_authz, ext_authz, server, stop.clone()),
            );
            // Upgraded connections end by nobody's own accord, so they get the time of the others and no more.
            if tokio::time::timeout(CLOSING_TIME, gateway.close()).await.is_err() {
                tracing::warn!("upgraded connections were cut off");
            }
        };
        tokio::join!(said, served);
        tracing::info!("stopped");
    }
}

async fn bind(
    place: Option<(SocketAddr, Option<&TlsConfig>)>,
    said: &'static str,
) -> Result<Option<Listener>, ServeError> {
    let Some((address, tls)) = place else { return Ok(None) };
    let listener = Listener::bind(address, tls).await?;
    tracing::info!(address = %listener.address(), "{said}");
    Ok(Some(listener))
}

async fn serve(listener: Option<Listener>, answers: Option<impl Service>, server: &ServerConfig, stop: Shutdown) {
    if let (Some(listener), Some(answers)) = (listener, answers) {
        listener.serve(answers, server, stop).await;
    }
}

const CLOSING_TIME: Duration = Duration::from_secs(1);
