//! One server of an upstream. A request is sent over an open or a new connection, in the protocol of that connection.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderValue;
use http::Request;
use http::Response;
use http::Uri;
use http::header;
use http::uri::Authority;
use http::uri::PathAndQuery;
use http::uri::Scheme;
use http_body::Body;
use hyper::body::Incoming;
use portcullis_wire::connection_auth;
use portcullis_wire::content_length;

use super::addresses::Addresses;
use super::body::Progress;
use super::body::RequestBody;
use super::bound::Owner;
use super::connect::ConnectError;
use super::connect::Connector;
use super::counters::Counters;
use super::error::ProxyError;
use super::health::Health;
use super::pool::Http1;
use super::pool::Http2Stream;
use super::pool::Pool;
use super::pool::PooledConnection;
use super::pool::Wanted;
use super::trailers::ForbiddenTrailers;
use super::with_idle_timeout;
use crate::config::Address;
use crate::config::UpstreamConfig;
use crate::config::UpstreamServerConfig;

/// One server.
pub(super) struct Server {
    /// The name of the server in logs: its address as configured, and the one that its name stands for.
    pub(super) name: String,
    /// The addresses. `None` if they are not behind a name, or not looked up yet.
    pub(super) addresses: Option<Addresses>,
    pub(super) health: Health,
    pub(super) counters: Counters,
    /// The host for requests that name none.
    pub(super) authority: Authority,
    pub(super) scheme: Scheme,
    pub(super) connector: Connector,
    pool: Arc<Pool>,
    /// How many requests are in flight.
    requests: AtomicUsize,
}

/// What all attempts to answer one request have in common.
pub(super) struct ExchangeContext {
    pub(super) timeout: Duration,
    pub(super) progress: Progress,
    /// Whether the client requested an upgrade.
    pub(super) upgrades: bool,
    /// The owner of a connection that the request or its response may authenticate. `None` if the connection ends with
    /// the response instead.
    pub(super) owner: Option<Owner>,
    pub(super) trailers: Arc<ForbiddenTrailers>,
}

/// Why a server gave no response, and whether another one may be tried.
pub(super) struct Failure {
    pub(super) error: ProxyError,
    /// The request, if the server has seen nothing of it.
    pub(super) unsent: Option<Request<RequestBody>>,
    /// Whether no part of a response arrived, so that an idempotent request may be repeated.
    pub(super) unanswered: bool,
    /// Whether the server declared the request unprocessed.
    pub(super) refused: bool,
    /// Whether the connection had carried a request before.
    pub(super) reused: bool,
}

impl Failure {
    fn new(error: ProxyError) -> Self {
        Self {
            error,
            unsent: None,
            unanswered: false,
            refused: false,
            reused: false,
        }
    }

    fn unsent(error: ProxyError, request: Request<RequestBody>) -> Self {
        Self {
            unsent: Some(request),
            ..Self::new(error)
        }
    }

    /// Whether the server closed a reused connection, which says little about the health of the server.
    pub(super) fn is_stale_connection(&self) -> bool {
        self.reused && matches!(self.error, ProxyError::Broken(_))
    }

    /// Whether the failure counts against the server.
    pub(super) fn is_server_fault(&self, context: &ExchangeContext) -> bool {
        // A server that speaks only HTTP/2 rejects the ALPN protocol that an upgrade needs.
        let is_about_the_upgrade = context.upgrades && matches!(self.error, ProxyError::Connect(ConnectError::Tls(_)));
        self.error.is_server_fault() && !self.is_stale_connection() && !is_about_the_upgrade
    }
}

/// A response, and the part of the connection that it occupies.
pub(super) struct ServerResponse {
    pub(super) response: Response<Incoming>,
    pub(super) lease: ConnectionLease,
}

/// The part of a connection that a response occupies.
pub(super) enum ConnectionLease {
    /// The whole connection, which was upgraded or ends with the response.
    Connection { _connection: Http1 },
    /// Nothing, because the pool takes the connection back by itself.
    Nothing,
    /// One stream of the connection.
    Stream { _stream: Http2Stream },
}

impl Server {
    /// A server of an upstream, at these addresses. `None` if its address isn't a name, or if its name isn't looked up
    /// yet.
    pub(super) fn new(config: &UpstreamServerConfig, addresses: Option<Addresses>, upstream: &UpstreamConfig) -> Self {
        let configured = config.address.to_string();
        let name = match addresses.as_deref() {
            Some([first, ..]) => format!("{configured} ({})", first.ip()),
            _ => configured.clone(),
        };
        let connector = Connector::new(config, addresses.clone(), upstream);
        let authority = match &config.address {
            Address::Tcp(authority) => authority.clone(),
            Address::Unix(_) => Authority::from_static("localhost"),
        };
        Self {
            health: Health::new(upstream, &configured, &name),
            counters: Counters::register(&upstream.name, &configured),
            scheme: if upstream.tls.is_some() {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            pool: Arc::new(Pool::new(connector.clone(), upstream)),
            connector,
            authority,
            name,
            addresses,
            requests: AtomicUsize::new(0),
        }
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends a request, and waits for the head of the response.
    ///
    /// The server may close an open connection at any moment. If it has seen nothing of the request, the request is
    /// sent over a new connection, which doesn't count as a retry.
    pub(super) async fn exchange(
        &self,
        request: Request<RequestBody>,
        context: &ExchangeContext,
    ) -> Result<ServerResponse, Failure> {
        let authenticates = connection_auth::may_follow_from_request(request.headers());
        let wanted = match (context.upgrades, authenticates) {
            (true, _) => Wanted::Http1,
            (false, true) => Wanted::Exclusive,
            (false, false) => Wanted::Any,
        };
        let open = match self.bound(context).await {
            Some(bound) => Some(PooledConnection::Http1(bound)),
            None => self.pool.checkout(wanted),
        };
        let mut request = request;
        if let Some(connection) = open {
            match self.send(connection, request, context).await {
                Err(Failure {
                    unsent: Some(unsent), ..
                }) => request = unsent,
                Err(failure) => {
                    return Err(Failure {
                        reused: true,
                        ..failure
                    });
                }
                Ok(answered) => return Ok(answered),
            }
        }
        match self.pool.connect(wanted).await {
            Ok(connection) => self.send(connection, request, context).await,
            Err(error) => Err(Failure::unsent(error, request)),
        }
    }

    /// Whether the owner has a connection to this server.
    pub(super) fn is_bound(&self, owner: &Owner) -> bool {
        owner.has(&self.pool)
    }

    /// The owner's connection to this server, once its last response has ended.
    async fn bound(&self, context: &ExchangeContext) -> Option<Http1> {
        let mut connection = context.owner.as_ref()?.take(&self.pool)?;
        let ready = tokio::time::timeout(self.pool.connect_timeout, connection.sender.ready()).await;
        ready.is_ok_and(|ready| ready.is_ok()).then_some(connection)
    }

    async fn send(
        &self,
        connection: PooledConnection,
        request: Request<RequestBody>,
        context: &ExchangeContext,
    ) -> Result<ServerResponse, Failure> {
        match connection {
            PooledConnection::Http1(connection) => self.send_http1(connection, request, context).await,
            PooledConnection::Http2(stream) => self.send_http2(stream, request, context).await,
        }
    }

    async fn send_http1(
        &self,
        mut connection: Http1,
        mut request: Request<RequestBody>,
        context: &ExchangeContext,
    ) -> Result<ServerResponse, Failure> {
        if let Err(error) = self.write_http1(&mut request) {
            return Err(Failure::new(ProxyError::Unsendable(error)));
        }
        connection.received.clear();
        connection.is_bound |= connection_auth::may_follow_from_request(request.headers());
        let sent = connection.sender.try_send_request(request);
        match with_idle_timeout(&context.progress, context.timeout, sent).await {
            None => Err(Failure::new(ProxyError::Timeout)),
            Some(Ok(response)) if response.status() == http::StatusCode::SWITCHING_PROTOCOLS => Ok(ServerResponse {
                response,
                lease: ConnectionLease::Connection {
                    _connection: connection,
                },
            }),
            Some(Ok(response)) => {
                connection.is_bound |= connection_auth::may_follow_from_response(response.headers());
                let lease = match &context.owner {
                    _ if !connection.is_bound => {
                        self.pool.give_back(connection);
                        ConnectionLease::Nothing
                    }
                    Some(owner) => {
                        owner.keep(&self.pool, connection);
                        ConnectionLease::Nothing
                    }
                    None => ConnectionLease::Connection {
                        _connection: connection,
                    },
                };
                Ok(ServerResponse { response, lease })
            }
            Some(Err(mut error)) => Err(Failure {
                unsent: error.take_message(),
                unanswered: !connection.received.is_set(),
                ..Failure::new(ProxyError::broken(error.into_error()))
            }),
        }
    }

    async fn send_http2(
        &self,
        mut stream: Http2Stream,
        mut request: Request<RequestBody>,
        context: &ExchangeContext,
    ) -> Result<ServerResponse, Failure> {
        if let Err(error) = self.write_http2(&mut request, context) {
            return Err(Failure::new(ProxyError::Unsendable(error)));
        }
        let sent = stream.sender.try_send_request(request);
        match with_idle_timeout(&context.progress, context.timeout, sent).await {
            None => Err(Failure::new(ProxyError::Timeout)),
            Some(Ok(response)) => Ok(ServerResponse {
                response,
                lease: ConnectionLease::Stream { _stream: stream },
            }),
            Some(Err(mut error)) => {
                let unsent = error.take_message();
                let error = ProxyError::broken(error.into_error());
                Err(Failure {
                    unsent,
                    unanswered: true,
                    refused: error.is_refusal(),
                    ..Failure::new(error)
                })
            }
        }
    }

    /// Converts the request to HTTP/1.1: the target is the path, and `Host` names the host.
    fn write_http1(&self, request: &mut Request<RequestBody>) -> Result<(), http::Error> {
        let requested = request.uri().authority().cloned();
        if requested.is_some() || !request.headers().contains_key(header::HOST) {
            let host = requested.as_ref().unwrap_or(&self.authority);
            let host = HeaderValue::from_str(host.as_str())?;
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() = Uri::from(path(request.uri()));
        *request.version_mut() = http::Version::HTTP_11;
        request.headers_mut().remove(header::TE);
        let length = request.body().size_hint().exact();
        content_length::set_for_request(request.headers_mut(), length, true);
        request.body_mut().trailers(None);
        Ok(())
    }

    /// Converts the request to HTTP/2: only `:authority` names the host, and `Host` is removed (RFC 9113, section
    /// 8.3.1).
    fn write_http2(&self, request: &mut Request<RequestBody>, context: &ExchangeContext) -> Result<(), http::Error> {
        let host = request.headers_mut().remove(header::HOST);
        let requested = host.map(|host| Authority::try_from(host.as_bytes())).transpose()?;
        let requested = requested.or_else(|| request.uri().authority().cloned());
        *request.uri_mut() = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(requested.unwrap_or_else(|| self.authority.clone()))
            .path_and_query(path(request.uri()))
            .build()?;
        *request.version_mut() = http::Version::HTTP_2;
        if request.extensions().get::<AcceptsTrailers>().is_some() {
            // HTTP/2 allows no other value (RFC 9113, section 8.2.2), and gRPC requires this one.
            let headers = request.headers_mut();
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let length = request.body().size_hint().exact();
        content_length::set_for_request(request.headers_mut(), length, false);
        // hyper doesn't report interim responses over HTTP/2, so the body doesn't wait for one.
        request.headers_mut().remove(header::EXPECT);
        request.body_mut().gate(None);
        request.body_mut().trailers(Some(Arc::clone(&context.trailers)));
        Ok(())
    }
}

/// Marks a request whose client accepts trailers in the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptsTrailers;

fn path(uri: &Uri) -> PathAndQuery {
    let path = uri.path_and_query().cloned();
    path.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// A request in flight at a server, counted until it is dropped.
pub(super) struct InFlight(pub(super) Arc<Server>);

impl InFlight {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        server.requests.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(server))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
