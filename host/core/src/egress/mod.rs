//! Requests of plugins to other servers: allowed by name, resolved, filtered by address, then sent to the very address
//! that was checked. Connections, stored answers and secrets are one authenticator's each and never cross grants.

mod address;
mod answer;
mod body;
mod call;
mod counters;
mod directives;
mod exchange;
mod failure;
mod flight;
mod key;
mod outbound;
mod pool;
mod resolver;
mod store;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::Request;
use http::Response;
use http::Uri;
use http::header;
use http_body_util::Full;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiBody;

use self::counters::Counters;
use self::counters::Ending;
use self::exchange::Landed;
use self::failure::Failure;
use self::flight::Flights;
use self::key::Key;
use self::pool::Pool;
use self::resolver::Lookup;
use self::resolver::Resolver;
use self::store::Store;
use self::stored::Use;
use crate::grants::Grants;
use crate::grants::port;
use crate::sandbox::LogLines;

pub(crate) use self::call::CallEgress;
pub use self::outbound::Outbound;
pub use self::outbound::OutboundError;

/// Most requests of one authenticator that may be under way.
const MAX_PLACES: usize = 64;

/// How long a plugin waits for an answer to begin, unless it says less.
const PATIENCE: Duration = Duration::from_secs(30);

/// The outbound side of one authenticator. A clone shares all of it.
#[derive(Clone)]
pub(crate) struct Egress(Arc<Shared>);

struct Shared {
    counters: Counters,
    flights: Flights<Landed>,
    grants: Arc<Grants>,
    outbound: Outbound,
    places: Arc<Semaphore>,
    pool: Pool,
    store: Store,
}

impl Egress {
    /// `tls` is for an authenticator that has no configuration of its own.
    pub(crate) fn new(
        authenticator: &str,
        grants: Arc<Grants>,
        outbound: Outbound,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Self {
        Self::resolving(
            Resolver::system(),
            Counters::register(authenticator),
            grants,
            outbound,
            tls,
        )
    }

    /// The outbound side of what is no authenticator: nothing is granted, and nothing counted.
    pub(crate) fn closed() -> Self {
        let grants = Arc::new(Grants::default());
        Self::resolving(Resolver::system(), Counters::none(), grants, Outbound::default(), None)
    }

    fn resolving(
        lookup: Lookup,
        counters: Counters,
        grants: Arc<Grants>,
        outbound: Outbound,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Self {
        let resolver = Resolver::new(lookup, grants.private);
        Self(Arc::new(Shared {
            counters,
            flights: Flights::new(),
            pool: pool::new(resolver, outbound.tls.as_ref().or(tls)),
            grants,
            outbound,
            places: Arc::new(Semaphore::new(MAX_PLACES)),
            store: Store::new(),
        }))
    }

    /// Sends a request, or answers it from what is stored or under way. Each is counted once.
    async fn send(
        self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        log: &LogLines,
    ) -> Result<Response<WasiBody>, Error> {
        let server = server(request.uri());
        let (mut head, body) = request.into_parts();
        // The length is that of the body, whatever the plugin said.
        head.headers.remove(header::CONTENT_LENGTH);
        self.0.outbound.complete(&head.uri, &mut head.headers);
        let body = match body::taken_in(body).await {
            Ok(body) => body,
            Err(error) => {
                self.count(Ending::Failed);
                return Err(error);
            }
        };
        let request = Request::from_parts(head, Full::new(body.clone()));
        let patience = options
            .and_then(|options| options.first_byte_timeout)
            .unwrap_or(PATIENCE);
        let result = if body.is_empty() && may_be_shared(&request) {
            self.get(request, patience.min(PATIENCE)).await
        } else {
            self.exchange(request, patience.min(PATIENCE)).await
        };
        let failure = match result {
            Ok((response, ending)) => {
                self.count(ending);
                return Ok(response);
            }
            Err(failure) => failure,
        };
        self.count(match failure {
            Failure::Limited => Ending::Limited,
            Failure::Prohibited(_) => Ending::Denied,
            _ => Ending::Failed,
        });
        if let Some(line) = failure.line(&server) {
            log.warn(&line);
        }
        Err(failure.into())
    }

    /// One exchange for one request.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<(Response<WasiBody>, Ending), Failure> {
        let changes = (!request.method().is_safe()).then(|| request.uri().clone());
        let response = self.pass(request, patience).await?;
        if let Some(uri) =
            changes.filter(|_| !response.status().is_client_error() && !response.status().is_server_error())
        {
            self.0.store.forget(&uri);
        }
        Ok((response, Ending::Sent))
    }

    /// A stored answer, or that of an exchange which identical requests share.
    async fn get(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<(Response<WasiBody>, Ending), Failure> {
        let key = Key::of_answer(&request);
        let stored = self.0.store.get(&key);
        match stored.map(|stored| stored.satisfies(&request, self.0.outbound.refresh_floor)) {
            Some(Use::Fresh(answer)) => return Ok((answer.into_response(), Ending::Hit)),
            Some(Use::Stale(answer)) => return Ok((answer.into_response(), Ending::Stale)),
            Some(Use::Validate(_)) | None => {}
        }
        let (flight, leads) = self
            .0
            .flights
            .join(Key::of_exchange(&request), || self.clone().fetch(request.clone(), key));
        let landed = tokio::time::timeout(patience, flight).await;
        let landed = landed.map_err(|_| Failure::Timeout)?;
        match landed.as_deref() {
            Ok(Landed::Answer(answer, ending)) => {
                let fetched = matches!(ending, Ending::Sent | Ending::Revalidated);
                let ending = if fetched && !leads { Ending::Shared } else { *ending };
                Ok((answer.clone().into_response(), ending))
            }
            Ok(Landed::Failure(failure)) => Err(failure.clone()),
            Ok(Landed::Single(single)) => match Landed::take(single) {
                Some(response) => Ok((response, Ending::Sent)),
                None => self.exchange(request, patience).await,
            },
            // The task failed; its entry is gone, and this request is on its own.
            Err(_) => self.exchange(request, patience).await,
        }
    }

    /// Why a request may not be sent, if it may not.
    fn denial(&self, request: &Request<WasiBody>) -> Option<(String, Error)> {
        let uri = request.uri();
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            let line = format!("denied: {}: a request has no user name in its URL", server(uri));
            return Some((line, Error::HttpRequestUriInvalid));
        }
        // It would be for a proxy, and its target no path.
        if request.method() == Method::CONNECT {
            let line = format!("denied: {}: the method CONNECT", server(uri));
            return Some((line, Error::HttpRequestMethodInvalid));
        }
        let granted = self.0.grants.http.iter().any(|grant| grant.permits(uri));
        (!granted).then(|| {
            let line = format!("denied: {} is not granted (grants.http)", server(uri));
            (line, Error::HttpRequestDenied)
        })
    }

    fn count(&self, ending: Ending) {
        self.0.counters.count(ending);
    }
}

/// Whether one answer may be given to several requests. A plugin that wants one of its own says `no-store`.
fn may_be_shared<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let conditional = [
        header::IF_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::IF_RANGE,
        header::IF_UNMODIFIED_SINCE,
        header::RANGE,
    ];
    request.method() == Method::GET
        && !conditional.iter().any(|name| headers.contains_key(name))
        && !directives::has(headers, "no-store")
}

/// Scheme, host and port for a log line; no user name, path or query.
fn server(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    port(uri).map_or_else(
        || format!("{scheme}://{host}"),
        |port| format!("{scheme}://{host}:{port}"),
    )
}

#[cfg(test)]
mod tests;
