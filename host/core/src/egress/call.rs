//! The outbound side of one call of a plugin. It limits the number of requests, checks them against the grants, and
//! writes to the log of the call.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use http_body_util::Full;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::WasiHttpHooks;

use super::Egress;
use super::body;
use super::counters::SendOutcome;
use crate::plugin_log::LogLines;

/// The most requests of one call.
const MAX_REQUESTS: u32 = 64;

/// How many bytes of a body are buffered in the host. A call may have many bodies.
const BODY_CHUNK: usize = 16 << 10;

/// Sends the requests of one call.
pub(crate) struct CallEgress {
    egress: Egress,
    log: LogLines,
    left: u32,
    /// Whether the log says that it has sent as many requests as it may.
    told_bound: bool,
    denied: u32,
}

type Processing = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Processing), Error>;

impl CallEgress {
    pub(crate) fn new(egress: Egress, log: LogLines) -> Self {
        Self {
            egress,
            log,
            left: MAX_REQUESTS,
            told_bound: false,
            denied: 0,
        }
    }

    /// How many requests were denied so far, because no grant covers them.
    pub(crate) fn denied(&self) -> u32 {
        self.denied
    }

    /// Admits a request by the number of requests and the grants. The addresses of its host are checked when they are
    /// resolved.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<(), Error> {
        let Some(left) = self.left.checked_sub(1) else {
            self.egress.count(SendOutcome::Limited);
            // Once, so that it doesn't take the place of other lines.
            if !std::mem::replace(&mut self.told_bound, true) {
                self.log.warn(&format!(
                    "not sent, because a call may send {MAX_REQUESTS} requests to other servers"
                ));
            }
            return Err(Error::ConnectionLimitReached);
        };
        self.left = left;
        let Some((line, error)) = self.egress.denial(request) else {
            return Ok(());
        };
        self.denied += 1;
        self.egress.count(SendOutcome::Denied);
        self.log.warn(&line);
        Err(error)
    }

    /// Sends a request whose body is there, and waits this long for the head of the response.
    pub(crate) fn send(
        &mut self,
        request: Request<Bytes>,
        time: Duration,
    ) -> impl Future<Output = Result<Response<WasiBody>, Error>> + Send + use<> {
        let request = request.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let admitted = self.admit(&request);
        let (egress, log) = (self.egress.clone(), self.log.clone());
        let options = RequestOptions {
            first_byte_timeout: Some(time),
            ..RequestOptions::default()
        };
        async move {
            admitted?;
            egress.send(request, Some(options), &log).await
        }
    }
}

impl WasiHttpHooks for CallEgress {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processing: Processing,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if let Err(error) = self.admit(&request) {
            // Some guests fail as a whole if a body is refused, and never see the error of its request.
            return Box::new(async move {
                body::taken_in(request.into_body()).await.ok();
                Err(error)
            });
        }
        let (egress, log) = (self.egress.clone(), self.log.clone());
        Box::new(async move {
            let response = egress.send(request, options, &log).await?;
            let done: Processing = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}
