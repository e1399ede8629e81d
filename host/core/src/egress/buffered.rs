//! A response with its complete body. It can be stored, and returned to several requests.

use bytes::Bytes;
use http::HeaderMap;
use http::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Full;
use wasmtime_wasi_http::WasiBody;

/// A response with its complete body.
#[derive(Clone, Debug)]
pub(super) struct BufferedResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl BufferedResponse {
    pub(super) fn into_response(self) -> Response<WasiBody> {
        let body = Full::new(self.body).map_err(Into::into).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
