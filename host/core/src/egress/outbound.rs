//! The outbound side of one call: it counts, and writes to the call's own log. What it sends is dropped with the instance.

use http::Request;
use http::Response;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::WasiHttpHooks;

use super::Egress;
use crate::sandbox::LogLines;

/// Most requests that one call may send.
const MAX_REQUESTS: u32 = 64;

/// What one instance sends with.
pub(crate) struct Outbound {
    egress: Option<Egress>,
    log: LogLines,
    left: u32,
}

type Processing = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Processing), Error>;

impl Outbound {
    pub(crate) fn new(egress: Option<Egress>, log: LogLines) -> Self {
        Self {
            egress,
            log,
            left: MAX_REQUESTS,
        }
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processing: Processing,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(egress) = self.egress.clone() else {
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        };
        let Some(left) = self.left.checked_sub(1) else {
            return Box::new(std::future::ready(Err(Error::ConnectionLimitReached)));
        };
        self.left = left;
        let log = self.log.clone();
        Box::new(async move {
            let response = egress.send(request, options, &log).await?;
            let done: Processing = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}
