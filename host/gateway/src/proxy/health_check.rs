//! Active health checks: a periodic GET request to each server. Each check makes a new connection, so that it also
//! shows whether the server accepts connections.

use std::sync::Arc;
use std::sync::Weak;

use bytes::Bytes;
use http::Request;
use http::StatusCode;
use http::Uri;
use http::Version;
use http::header;
use http::uri::PathAndQuery;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::server::Server;
use crate::config::HealthConfig;

/// Checks a server until it is dropped.
pub(super) fn start(server: &Arc<Server>, config: HealthConfig) {
    let server = Arc::downgrade(server);
    tokio::spawn(async move {
        while let Some(server) = Weak::upgrade(&server) {
            let outcome = tokio::time::timeout(config.timeout, check(&server, &config.path)).await;
            let outcome = outcome.unwrap_or_else(|_| Err("it didn't answer in time".to_owned()));
            server.health.checked(outcome);
            drop(server);
            tokio::time::sleep(config.interval).await;
        }
    });
}

/// Makes one check. Only the head of the response is read.
async fn check(server: &Server, path: &PathAndQuery) -> Result<(), String> {
    let connected = server.connector.clone().connect(false).await;
    let connected = connected.map_err(|error| error.to_string())?;
    let io = TokioIo::new(connected.stream);
    let request = Request::get(path.clone()).header(header::USER_AGENT, USER_AGENT);
    let response = if connected.is_http2 {
        let uri = Uri::builder()
            .scheme(server.scheme.clone())
            .path_and_query(path.clone());
        let uri = uri.authority(server.authority.clone()).build();
        let request = request
            .uri(uri.map_err(|error| error.to_string())?)
            .version(Version::HTTP_2);
        let handshake = http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = handshake.map_err(|error| super::error::error_chain(&error))?;
        // The connection ends with the check.
        let _task = AbortOnDropHandle::new(tokio::spawn(connection));
        sender.send_request(body(request)?).await
    } else {
        let request = request.header(header::HOST, server.authority.as_str());
        let handshake = http1::Builder::new().max_header_size(MAX_HEADERS).handshake(io).await;
        let (mut sender, connection) = handshake.map_err(|error| super::error::error_chain(&error))?;
        let _task = AbortOnDropHandle::new(tokio::spawn(connection));
        sender.send_request(body(request)?).await
    };
    match response.map_err(|error| super::error::error_chain(&error))?.status() {
        status if status.is_success() => Ok(()),
        status => Err(unexpected_status(status)),
    }
}

fn body(request: http::request::Builder) -> Result<Request<Empty<Bytes>>, String> {
    request.body(Empty::new()).map_err(|error| error.to_string())
}

fn unexpected_status(status: StatusCode) -> String {
    format!("it answered {}", status.as_u16())
}

const USER_AGENT: &str = "portcullis-health";
const MAX_HEADERS: usize = 64 * 1024;
