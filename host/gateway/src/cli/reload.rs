//! `portcullis reload`: asks a running gateway to load its configuration again, and waits for the outcome. The request goes
//! to the admin listener, which the configuration names.

use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::Request;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use crate::admin;
use crate::cli::ConfigFile;
use crate::config::ConfigErrors;
use crate::config::ListenAddress;

/// The result of the command, whose error is shown to the operator.
type Outcome<T> = Result<T, Box<dyn Error>>;

pub(super) async fn run(file: &ConfigFile, output: &mut impl Write) -> Outcome<()> {
    let address = admin_address(file)?;
    let (status, text) = tokio::time::timeout(LIMIT, ask(&address))
        .await
        .map_err(|_| format!("the gateway at {address} gave no answer in {} s", LIMIT.as_secs()))?
        .map_err(|error| format!("the gateway can't be asked at {address} (admin.listen): {error}"))?;
    match status {
        StatusCode::OK => Ok(output.write_all(text.as_bytes())?),
        _ => Err(text.trim_end().to_owned().into()),
    }
}

/// The first address of the admin listener at which a gateway can be asked.
fn admin_address(file: &ConfigFile) -> Outcome<ListenAddress> {
    let draft = file.read();
    let name = file.name();
    let Some(admin) = draft.config.admin else {
        if !draft.errors.is_empty() {
            let errors = ConfigErrors::new(draft.errors);
            return Err(
                format!("{errors}\nthe gateway wasn't asked, because the configuration doesn't say where").into(),
            );
        }
        return Err(format!(
            "{name} has no [admin] listener, through which a gateway is asked: add one, or send SIGHUP to the process and \
             read its log"
        )
        .into());
    };
    let is_reachable = |address: &&ListenAddress| match address {
        ListenAddress::Tcp(address) => address.port() != 0,
        ListenAddress::Unix(_) => true,
        ListenAddress::Systemd(_) => false,
    };
    let address = admin.listen.addresses.iter().find(is_reachable);
    address.cloned().ok_or_else(|| {
        format!("admin.listen of {name} doesn't say the address: send SIGHUP to the process and read its log").into()
    })
}

async fn ask(address: &ListenAddress) -> Outcome<(StatusCode, String)> {
    match address {
        ListenAddress::Tcp(address) => exchange(TcpStream::connect(reachable(*address)).await?).await,
        ListenAddress::Unix(path) => exchange(UnixStream::connect(path).await?).await,
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

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Outcome<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is that of the request.
    tokio::spawn(async { _ = connection.await });
    let request = Request::builder()
        .method(Method::POST)
        .uri(admin::RELOAD)
        .header(header::HOST, "localhost")
        .header(admin::RELOAD_HEADER, "1")
        .body(Empty::<Bytes>::new())?;
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

/// How long to wait. A gateway gives up a reload before, also if it is in the middle of another one.
const LIMIT: Duration = Duration::from_secs(540);
