//! Forwards TLS connections whose ClientHello names a host of `[[server.passthrough]]`, without decrypting them. The
//! gateway authenticates none of their users: that is up to the server that terminates TLS.

mod client_hello;
mod rewind;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwap;
use metrics::counter;
use metrics::gauge;
use portcullis_wire::peer::Peer;
use portcullis_wire::proxy_protocol;
use tokio::io;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client_hello::ClientHello;
pub(crate) use self::rewind::Rewind;
use crate::audit_trail::CurrentTrail;
use crate::config::PassthroughConfig;
use crate::transport::connection::Slot;
use crate::transport::socket;

/// The passthrough rules of a listener, and the connections that it forwards.
#[derive(Debug)]
pub(crate) struct Passthrough {
    audit: CurrentTrail,
    rules: ArcSwap<Vec<Arc<Rule>>>,
    connections: TaskTracker,
    closing: CancellationToken,
}

/// A pattern of host names, and the address that their connections go to.
#[derive(Debug)]
struct Rule {
    config: PassthroughConfig,
    permits: Arc<Semaphore>,
}

impl Passthrough {
    /// No rules yet. A connection is forwarded if this trail has room for its lines.
    pub(crate) fn new(audit: CurrentTrail) -> Self {
        Self {
            audit,
            rules: ArcSwap::default(),
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Replaces the rules. A rule that stays the same still counts its open connections; those of a rule that is gone are
    /// forwarded to their end.
    pub(crate) fn replace(&self, rules: &[PassthroughConfig]) {
        let known = self.rules.load();
        let rules = rules.iter().map(|config| {
            if let Some(rule) = known.iter().find(|rule| rule.config == *config) {
                return Arc::clone(rule);
            }
            tracing::info!(sni = %config.sni, upstream = config.upstream, "passthrough loaded");
            Arc::new(Rule {
                permits: Arc::new(Semaphore::new(config.max_connections)),
                config: config.clone(),
            })
        });
        self.rules.store(Arc::new(rules.collect()));
    }

    /// Whether a rule matches this host.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.rule(host).is_some()
    }

    fn rule(&self, host: &str) -> Option<Arc<Rule>> {
        let rules = self.rules.load();
        rules.iter().find(|rule| rule.config.sni.covers(host)).cloned()
    }

    /// Forwards bytes in both directions until one side closes or the gateway stops. The slot stays occupied until
    /// then.
    pub(crate) async fn forward<S>(&self, host: &str, stream: S, peer: Peer, slot: Slot)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // The first matching rule applies.
        let Some(rule) = self.rule(host) else { return };
        let _tracked = self.connections.token();
        let rule = &*rule;
        let line = AuditLine { rule, host, peer };
        // The permit is for the line about the beginning. The end of a connection is told whatever waits.
        let Some(admitted) = self.audit.admit() else {
            return line.count("unrecorded");
        };
        let Ok(permit) = Arc::clone(&rule.permits).try_acquire_owned() else {
            return line.not_forwarded("full", "too many connections are open");
        };
        let started = Instant::now();
        let open = gauge!("portcullis_passthrough_open", "sni" => rule.config.sni.to_string());
        let forwarded = async {
            let client = rule.config.proxy_protocol.then_some(peer);
            let upstream = match connect(&rule.config.upstream, client).await {
                Ok(upstream) => upstream,
                Err(error) => return line.not_forwarded("unreachable", &error.to_string()),
            };
            line.opened();
            drop(admitted);
            line.closed(splice(stream, upstream).await, started.elapsed());
        };
        open.increment(1);
        tokio::select! {
            () = forwarded => {}
            () = self.closing.cancelled() => line.cut(started.elapsed()),
        }
        drop((permit, slot));
        open.decrement(1);
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

/// Reads the ClientHello. Returns the host that it names, if any, and a stream that yields the same bytes again.
///
/// # Errors
///
/// If the connection fails.
pub(crate) async fn read_client_hello<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Option<String>, Rewind<S>)> {
    let hello = ClientHello::read(&mut stream).await?;
    Ok((hello.host, Rewind::new(hello.bytes, stream)))
}

/// Connects, and names the client to the upstream. `None` if the upstream isn't told.
async fn connect(upstream: &str, client: Option<Peer>) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(upstream)).await;
    let mut stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    socket::tune_tcp(&stream)?;
    if let Some(client) = client {
        let header = proxy_protocol::of_client(client, stream.peer_addr()?)?;
        stream.write_all(&header).await?;
    }
    Ok(stream)
}

/// Returns how many bytes were sent to the upstream, and how many were received from it.
async fn splice(mut client: impl AsyncRead + AsyncWrite + Unpin, mut upstream: TcpStream) -> io::Result<(u64, u64)> {
    io::copy_bidirectional(&mut client, &mut upstream).await
}

/// The audit log lines of one connection. rustls has checked that the host of a ClientHello is a DNS name: letters,
/// digits, `-`, `_` and dots.
#[derive(Clone, Copy)]
struct AuditLine<'a> {
    rule: &'a Rule,
    host: &'a str,
    peer: Peer,
}

impl AuditLine<'_> {
    fn opened(self) {
        self.count("opened");
        tracing::info!(
            target: "portcullis::audit",
            sni = self.host,
            client = %self.peer,
            upstream = self.rule.config.upstream,
            "passthrough opened"
        );
    }

    fn closed(self, ended: io::Result<(u64, u64)>, after: Duration) {
        let why = ended.as_ref().err().map(ToString::to_string);
        let (sent, received) = ended.ok().unzip();
        self.ended(sent, received, why.as_deref(), after);
    }

    fn cut(self, after: Duration) {
        self.ended(None, None, Some("the gateway is stopping"), after);
    }

    fn ended(self, sent: Option<u64>, received: Option<u64>, why: Option<&str>, after: Duration) {
        tracing::info!(
            target: "portcullis::audit",
            sni = self.host,
            client = %self.peer,
            sent,
            received,
            why,
            duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "passthrough closed"
        );
    }

    fn not_forwarded(self, outcome: &'static str, why: &str) {
        self.count(outcome);
        tracing::warn!(
            target: "portcullis::audit",
            sni = self.host,
            client = %self.peer,
            upstream = self.rule.config.upstream,
            why,
            "a connection was not forwarded"
        );
    }

    fn count(self, outcome: &'static str) {
        let sni = self.rule.config.sni.to_string();
        counter!("portcullis_passthrough_connections_total", "sni" => sni, "outcome" => outcome).increment(1);
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
