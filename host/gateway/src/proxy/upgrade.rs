//! WebSocket and other upgrades (RFC 9110, section 7.8). A request for an upgrade is authenticated like any other
//! request, and bytes are forwarded only after the upstream has accepted it.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use metrics::counter;
use metrics::describe_counter;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Exchange;
use super::body::Progress;
use super::with_idle_timeout;
use crate::transport::connection::Slot;

/// A client's request to switch protocols.
#[derive(Debug)]
pub(crate) struct Upgrade {
    client: OnUpgrade,
    protocols: HeaderValue,
}

impl Upgrade {
    /// Takes the upgrade out of the head of a request, if there is one that is allowed.
    ///
    /// Protocols that carry HTTP requests aren't allowed, because the gateway wouldn't see the requests after the first
    /// one. Such an upgrade is ignored.
    pub(crate) fn requested(parts: &mut Parts) -> Option<Self> {
        let client = parts.extensions.remove::<OnUpgrade>()?;
        let protocols = protocols(&parts.headers)?;
        Some(Self { client, protocols })
    }

    /// Adds the upgrade to the headers of the upstream's request.
    pub(crate) fn write_request(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, self.protocols.clone());
    }

    /// The protocol that the upstream chose, if the client offered it.
    pub(crate) fn agreed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let agreed = headers.get(header::UPGRADE)?;
        let named = |protocol: &[u8]| protocol.eq_ignore_ascii_case(agreed.as_bytes().trim_ascii());
        self.protocols
            .as_bytes()
            .split(|b| *b == b',')
            .map(<[u8]>::trim_ascii)
            .any(named)
            .then(|| agreed.clone())
    }
}

/// Waits until the session is over that has admitted a connection.
pub(crate) type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All upgraded connections.
#[derive(Debug)]
pub(crate) struct Tunnels {
    connections: TaskTracker,
    closing: CancellationToken,
}

impl Tunnels {
    pub(crate) fn new() -> Self {
        describe_counter!(
            "portcullis_session_connections_ended_total",
            "Upgraded connections, such as WebSockets, that were closed because of their session"
        );
        Self {
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Forwards bytes in both directions until one side closes, there is no progress for `idle_timeout`, the session is over that
    /// has admitted the request, or the gateway stops. `held` is dropped then.
    pub(super) fn spawn(
        &self,
        (upgrade, upstream): (Upgrade, OnUpgrade),
        over: Option<Over>,
        held: (Slot, Exchange),
        idle_timeout: Duration,
    ) {
        let closing = self.closing.clone();
        let over = async move {
            match over {
                Some(over) => over.await,
                None => std::future::pending().await,
            }
        };
        self.connections.spawn(async move {
            let ended = tokio::select! {
                ended = splice(upgrade.client, upstream, idle_timeout) => ended,
                () = over => {
                    counter!("portcullis_session_connections_ended_total").increment(1);
                    Ok(())
                }
                () = closing.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(error = %error, "an upgraded connection failed");
            }
            drop(held);
        });
    }

    /// Waits until all connections have ended by themselves.
    pub(crate) async fn finished(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// Ends all connections, and waits until they have ended.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.finished().await;
    }
}

async fn splice(
    client: OnUpgrade,
    upstream: OnUpgrade,
    idle_timeout: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut client = TokioIo::new(client.await?);
    let progress = Progress::default();
    let mut upstream = WithProgress {
        io: TokioIo::new(upstream.await?),
        progress: progress.clone(),
    };
    let copied = with_idle_timeout(&progress, idle_timeout, copy_bidirectional(&mut client, &mut upstream));
    copied.await.ok_or(io::ErrorKind::TimedOut).map_err(io::Error::from)??;
    Ok(())
}

/// A byte stream that records its progress.
struct WithProgress<T> {
    io: T,
    progress: Progress,
}

impl<T: AsyncRead + Unpin> AsyncRead for WithProgress<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        self.progress.step();
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WithProgress<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes));
        self.progress.step();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn protocols(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(header::UPGRADE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let carries_http = |protocol: &str| {
        let protocol = protocol.trim().to_ascii_lowercase();
        protocol.is_empty() || ["h2", "http", "tls"].iter().any(|prefix| protocol.starts_with(prefix))
    };
    let may_pass = lists(headers, header::CONNECTION, "upgrade") && !value.to_str().ok()?.split(',').any(carries_http);
    may_pass.then(|| value.clone())
}

fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(connection: &str, upgrades: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.append(header::CONNECTION, connection.parse().unwrap());
        for upgrade in upgrades {
            headers.append(header::UPGRADE, upgrade.parse().unwrap());
        }
        protocols(&headers).is_some()
    }

    #[test]
    fn only_protocols_that_carry_no_http_are_allowed() {
        for (connection, upgrades, expected) in [
            ("Upgrade", &["websocket"][..], true),
            ("keep-alive, UPGRADE", &["WebSocket"], true),
            ("upgrade", &["foo/2, websocket"], true),
            ("keep-alive", &["websocket"], false),
            ("upgrade", &[], false),
            ("upgrade", &["websocket", "websocket"], false),
            ("upgrade", &["h2c"], false),
            ("upgrade, http2-settings", &["websocket, H2C"], false),
            ("upgrade", &["HTTP/2.0"], false),
            ("upgrade", &["TLS/1.2"], false),
            ("upgrade", &["websocket,"], false),
        ] {
            assert_eq!(passes(connection, upgrades), expected, "{connection} {upgrades:?}");
        }
    }
}
