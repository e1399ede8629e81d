//! Sends one request of a plugin. The response comes from the store, from an exchange in flight, or from the server.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::header;
use http_body::Body as _;
use http_body_util::BodyExt;
use http_body_util::Full;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiBody;

use super::Egress;
use super::body;
use super::body::MAX_RESPONSE;
use super::counters::SendOutcome;
use super::directives;
use super::exchange::ExchangeOutcome;
use super::failure::Failure;
use super::key::Key;
use super::permit::server;
use super::stored::Freshness;
use crate::plugin_log::LogLines;

impl Egress {
    /// Sends a request, or answers it from the store or an exchange in flight. Each request is counted once.
    pub(super) async fn send(
        self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        log: &LogLines,
    ) -> Result<Response<WasiBody>, Error> {
        let server = server(request.uri());
        let (mut head, body) = request.into_parts();
        // The length is that of the body, which replaces the plugin's value.
        head.headers.remove(header::CONTENT_LENGTH);
        // Some servers compress for a client that says nothing (RFC 9110, section 12.5.3).
        let encoding = head.headers.entry(header::ACCEPT_ENCODING);
        encoding.or_insert(HeaderValue::from_static("identity"));
        self.0.outbound.complete(&head.uri, &mut head.headers);
        let body = match body::taken_in(body).await {
            Ok(body) => body,
            Err(error) => {
                self.count(SendOutcome::Failed);
                return Err(error);
            }
        };
        let request = Request::from_parts(head, Full::new(body.clone()));
        let timeout = options
            .and_then(|options| options.first_byte_timeout)
            .unwrap_or(self.0.exchange);
        let result = if timeout.is_zero() {
            // A timer is looked at after the exchange, so a server that is quick enough would have an answer in no time.
            Err(Failure::Timeout)
        } else if body.is_empty() && may_be_shared(&request) {
            self.get(request, timeout).await
        } else {
            self.exchange(request, timeout).await
        };
        let failure = match result {
            Ok((response, outcome)) => {
                self.count(outcome);
                return Ok(telling_size(response, server, log));
            }
            Err(failure) => failure,
        };
        self.count(match failure {
            Failure::Limited => SendOutcome::Limited,
            Failure::Prohibited(_) => SendOutcome::Denied,
            _ => SendOutcome::Failed,
        });
        if let Some(line) = failure.line(&server) {
            log.warn(&line);
        }
        Err(failure.into())
    }

    /// An exchange for this request only.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<(Response<WasiBody>, SendOutcome), Failure> {
        let changes = (!request.method().is_safe()).then(|| request.uri().clone());
        let response = self.pass(request, timeout).await?;
        if let Some(uri) =
            changes.filter(|_| !response.status().is_client_error() && !response.status().is_server_error())
        {
            self.0.store.forget(&uri);
        }
        Ok((response, SendOutcome::Sent))
    }

    /// A stored response, or the response of an exchange that identical requests share.
    async fn get(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<(Response<WasiBody>, SendOutcome), Failure> {
        let key = Key::of_answer(&request);
        let stored = self.0.store.get(&key);
        match stored.map(|stored| stored.satisfies(&request, self.0.outbound.refresh_floor)) {
            Some(Freshness::Fresh(answer)) => return Ok((answer.into_response(), SendOutcome::Hit)),
            Some(Freshness::Stale(answer)) => return Ok((answer.into_response(), SendOutcome::Stale)),
            Some(Freshness::Validate(_)) | None => {}
        }
        let (pending, leads) = self
            .0
            .coalescer
            .join(Key::of_exchange(&request), || self.clone().fetch(request.clone(), key));
        let exchanged = tokio::time::timeout(timeout, pending).await;
        let exchanged = exchanged.map_err(|_| Failure::Timeout)?;
        match exchanged.as_deref() {
            Ok(ExchangeOutcome::Response(answer, outcome)) => {
                let fetched = matches!(outcome, SendOutcome::Sent | SendOutcome::Revalidated);
                let outcome = if fetched && !leads {
                    SendOutcome::Shared
                } else {
                    *outcome
                };
                Ok((answer.clone().into_response(), outcome))
            }
            Ok(ExchangeOutcome::Failure(failure)) => Err(failure.clone()),
            Ok(ExchangeOutcome::Single(single)) => match ExchangeOutcome::take(single) {
                Some(response) => Ok((response, SendOutcome::Sent)),
                None => self.exchange(request, timeout).await,
            },
            // The exchange's task panicked, so this request makes an exchange of its own.
            Err(_) => self.exchange(request, timeout).await,
        }
    }
}

/// Logs that the body of a response is too large, if it turns out to be: to many plugins that looks like a fault of the server.
fn telling_size(response: Response<WasiBody>, server: String, log: &LogLines) -> Response<WasiBody> {
    let is_bounded = |size: u64| size <= MAX_RESPONSE as u64;
    if response.body().size_hint().upper().is_some_and(is_bounded) {
        return response;
    }
    let log = log.clone();
    response.map(|body| {
        body.map_err(move |error| {
            if matches!(error, Error::HttpResponseBodySize(_)) {
                log.warn(&format!("{server}: the body of its response is larger than 8 MiB"));
            }
            error
        })
        .boxed_unsync()
    })
}

/// Whether several requests may get the same response. A plugin can prevent that with `Cache-Control: no-store`.
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
