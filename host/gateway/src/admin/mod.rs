//! The operator's listener: metrics, health, the status page, reloads and revocations. It is separate from the public listener, since
//! the metrics reveal the authenticators.

mod answer;
mod exported;
mod metrics;
mod recorder;
mod reload;
mod revocation;
mod status;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use portcullis_wire::peer::Peer;
use tokio::sync::Semaphore;

use self::revocation::Revoker;
use self::status::Status;
use crate::audit_trail::CurrentTrail;
use crate::config::AdminConfig;
use crate::config::Token;
use crate::transport::Inherited;
use crate::transport::ServeError;
use crate::transport::Shutdown;
use crate::transport::Socket;
use crate::transport::Stream;

pub(crate) use self::answer::RELOAD;
pub(crate) use self::answer::RELOAD_HEADER;
pub(crate) use self::exported::Exported;
pub(crate) use self::metrics::Metrics;
pub(crate) use self::reload::ReloadOutcome;
pub(crate) use self::reload::ReloadRequest;
pub(crate) use self::reload::Reloads;
pub(crate) use self::revocation::Order;
pub(crate) use self::revocation::REVOCATIONS;
pub(crate) use self::revocation::Revoked;
pub(crate) use self::revocation::Revokes;
pub(crate) use self::revocation::Yes;
pub(crate) use self::status::Facts;
pub(crate) use self::status::PluginFacts;
pub(crate) use self::status::Refusals;
pub(crate) use self::status::Refused;
pub(crate) use self::status::RouteFacts;
pub(crate) use self::status::Shows;

/// The bound admin listener.
#[derive(Debug)]
pub(crate) struct Admin {
    sockets: Vec<Socket>,
    metrics: Metrics,
    token: Option<Token>,
}

/// What the requests are about.
#[derive(Clone)]
struct State {
    metrics: Metrics,
    reloads: Reloads,
    revoker: Revoker,
    status: Status,
    stop: Shutdown,
}

impl Admin {
    /// Binds the sockets.
    pub(crate) fn bind(config: &AdminConfig, metrics: Metrics, inherited: &Inherited) -> Result<Self, ServeError> {
        Ok(Self {
            sockets: Socket::bind_all(&config.listen, inherited)?,
            metrics,
            token: config.token.clone(),
        })
    }

    /// Serves until the process ends, so that the shutdown of the public listener can be observed.
    ///
    /// The line `admin listening` in the log carries the address.
    pub(crate) fn start(
        self,
        reloads: Reloads,
        gateway: Arc<impl Revokes + Shows + 'static>,
        audit: CurrentTrail,
        stop: Shutdown,
    ) {
        for socket in &self.sockets {
            tracing::info!(address = %socket.address(), "admin listening");
        }
        tokio::spawn(self.metrics.clone().keep_history());
        let state = State {
            metrics: self.metrics.clone(),
            status: Status::new(gateway.clone(), self.metrics.clone(), reloads.clone(), audit),
            reloads,
            revoker: Revoker::new(self.token.clone(), gateway),
            stop,
        };
        tokio::spawn(self.accept_all(state));
    }

    async fn accept_all(self, state: State) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let sockets = self.sockets.iter();
        future::join_all(sockets.map(|socket| self.accept_from(socket, &permits, &state))).await;
    }

    async fn accept_from(&self, socket: &Socket, permits: &Arc<Semaphore>, state: &State) {
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(permits).acquire_owned().await {
            match socket.accept().await {
                Ok((stream, peer)) => {
                    let served = serve(stream, peer, state.clone());
                    tokio::spawn(async move {
                        if tokio::time::timeout(MAX_CONNECTION_AGE, served).await.is_err() {
                            tracing::debug!("an admin connection was open for too long and was closed");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "admin connections can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(stream: Stream, peer: Peer, state: State) {
    let service = service_fn(|request| {
        let state = &state;
        async move { Ok::<_, Infallible>(answer::answer(request, peer, state).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "an admin connection failed");
    }
}

const MAX_CONNECTIONS: usize = 64;
const MAX_HEADERS: usize = 16 * 1024;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may stay open. A scraper can make a new one.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
