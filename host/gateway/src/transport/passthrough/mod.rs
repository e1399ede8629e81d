//! Connections that are for somebody else: TLS whose ClientHello names a host of `[[server.passthrough]]` goes on to its
//! address as it is. The gateway has no part in that TLS, so it knows nobody there; whoever ends it does.

mod client_hello;
mod rewind;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use metrics::counter;
use metrics::gauge;
use portcullis_wire::peer::Peer;
use tokio::io;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client_hello::ClientHello;
pub(crate) use self::rewind::Rewind;
use crate::config::PassthroughConfig;
use crate::transport::connection::Slot;
use crate::transport::socket;

/// Whose connections a listener passes on, and those that it does.
#[derive(Debug)]
pub(crate) struct Passthrough {
    rules: Vec<Rule>,
    connections: TaskTracker,
    closing: CancellationToken,
}

/// One host name or a kind of them, and its address.
#[derive(Debug)]
struct Rule {
    config: PassthroughConfig,
    permits: Arc<Semaphore>,
}

impl Passthrough {
    /// None: there is nobody else.
    pub(crate) fn new(rules: &[PassthroughConfig]) -> Option<Arc<Self>> {
        for PassthroughConfig { sni, upstream, .. } in rules {
            tracing::info!(%sni, upstream, "passthrough loaded");
        }
        let rules = rules.iter().map(|config| Rule {
            permits: Arc::new(Semaphore::new(config.max_connections)),
            config: config.clone(),
        });
        let rules = Vec::from_iter(rules);
        (!rules.is_empty()).then(|| {
            Arc::new(Self {
                rules,
                connections: TaskTracker::new(),
                closing: CancellationToken::new(),
            })
        })
    }

    /// Whether a rule is for this host.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.rule(host).is_some()
    }

    fn rule(&self, host: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.config.sni.covers(host))
    }

    /// Carries bytes both ways until one side ends it or the gateway closes. The slot stays taken so long.
    pub(crate) async fn forward<S>(&self, host: &str, stream: S, peer: Peer, slot: Slot)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // The first one decides.
        let Some(rule) = self.rule(host) else { return };
        let _tracked = self.connections.token();
        let line = AuditLine { rule, host, peer };
        let Ok(permit) = Arc::clone(&rule.permits).try_acquire_owned() else {
            return line.not_forwarded("full", "too many connections are open");
        };
        let started = Instant::now();
        let open = gauge!("portcullis_passthrough_open", "sni" => rule.config.sni.to_string());
        let forwarded = async {
            let upstream = match connect(&rule.config.upstream).await {
                Ok(upstream) => upstream,
                Err(error) => return line.not_forwarded("unreachable", &error.to_string()),
            };
            line.opened();
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

    /// Waits until all are gone of their own accord.
    pub(crate) async fn finished(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// Ends every one of them, and waits until all are gone.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.finished().await;
    }
}

/// What a client says first: the host that it names, if it does, and the stream as if nobody had read it.
///
/// # Errors
///
/// When the connection breaks.
pub(crate) async fn read_client_hello<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Option<String>, Rewind<S>)> {
    let hello = ClientHello::read(&mut stream).await?;
    Ok((hello.host, Rewind::new(hello.bytes, stream)))
}

async fn connect(upstream: &str) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(upstream)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    socket::tune_tcp(&stream)?;
    Ok(stream)
}

/// How many bytes went to the upstream, and how many came back.
async fn splice(mut client: impl AsyncRead + AsyncWrite + Unpin, mut upstream: TcpStream) -> io::Result<(u64, u64)> {
    io::copy_bidirectional(&mut client, &mut upstream).await
}

/// What the log says of one connection. A host that a ClientHello names is a DNS name, which rustls has checked: letters,
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
        self.ended(None, None, Some("the gateway stops"), after);
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
            "a connection was not passed on"
        );
    }

    fn count(self, outcome: &'static str) {
        let sni = self.rule.config.sni.to_string();
        counter!("portcullis_passthrough_connections_total", "sni" => sni, "outcome" => outcome).increment(1);
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
