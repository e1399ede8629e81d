//! A gateway that runs, for the commands that ask it something. They ask its admin listener, which the configuration names.

use std::error::Error;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use crate::cli::ConfigFile;
use crate::config::AdminConfig;
use crate::config::ConfigErrors;
use crate::config::ListenAddress;

/// The result of a command, whose error is shown to the operator.
pub(super) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The gateway that runs with a configuration.
#[derive(Debug)]
pub(super) struct RunningGateway {
    /// The first address of the admin listener at which it can be asked.
    address: ListenAddress,
    /// Its admin listener.
    pub(super) admin: AdminConfig,
}

impl RunningGateway {
    /// The gateway that runs with this configuration file. `instead` is what an operator can do if it can't be asked.
    pub(super) fn of(file: &ConfigFile, instead: &str) -> Outcome<Self> {
        let draft = file.read();
        let name = file.name();
        let Some(admin) = draft.config.admin else {
            if !draft.errors.is_empty() {
                let errors = ConfigErrors::new(draft.errors);
                return Err(
                    format!("{errors}\nthe gateway wasn't asked, because the configuration doesn't say where").into(),
                );
            }
            return Err(
                format!("{name} has no [admin] listener, through which a gateway is asked: add one{instead}").into(),
            );
        };
        let is_reachable = |address: &&ListenAddress| match address {
            ListenAddress::Tcp(address) => address.port() != 0,
            ListenAddress::Unix(_) => true,
            ListenAddress::Systemd(_) => false,
        };
        let address = admin.listen.addresses.iter().find(is_reachable).cloned();
        let address = address
            .ok_or_else(|| format!("admin.listen of {name} doesn't say the address: write one there{instead}"))?;
        Ok(Self { address, admin })
    }

    /// Sends a request and returns the text of the answer. An answer that isn't 200 is an error with its text. It waits `limit` at
    /// most.
    pub(super) async fn ask(&self, request: Request<Full<Bytes>>, limit: Duration) -> Outcome<String> {
        let address = &self.address;
        let (status, text) = tokio::time::timeout(limit, send(address, request))
            .await
            .map_err(|_| format!("the gateway at {address} gave no answer in {} s", limit.as_secs()))?
            .map_err(|error| format!("the gateway can't be asked at {address} (admin.listen): {error}"))?;
        match status {
            StatusCode::OK => Ok(text),
            _ => Err(text.trim_end().to_owned().into()),
        }
    }
}

async fn send(address: &ListenAddress, request: Request<Full<Bytes>>) -> Outcome<(StatusCode, String)> {
    match address {
        ListenAddress::Tcp(address) => exchange(TcpStream::connect(reachable(*address)).await?, request).await,
        ListenAddress::Unix(path) => exchange(UnixStream::connect(path).await?, request).await,
        ListenAddress::Systemd(name) => Err(format!("systemd:{name} is no address").into()),
    }
}

/// The address of this machine at which a listener for all addresses is reached.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<Full<Bytes>>,
) -> Outcome<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is that of the request.
    tokio::spawn(async { _ = connection.await });
    request.headers_mut().insert(header::HOST, "localhost".parse()?);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Ok((head.status, String::from_utf8_lossy(&body).into_owned()))
}

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 4 << 20;
