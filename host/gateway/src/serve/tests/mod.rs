//! Tests of the whole gateway over real sockets. The tests act as the client and as the upstream, byte by byte.

mod answering;
mod ext_authz;
mod forwarding;
mod fronts;
mod limits;
mod logging;
mod stopping;
mod streaming;
mod upgrading;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Once;

use portcullis::Engine;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::wire::Upstream;
use self::wire::Wire;
use self::wire::soon;
use crate::audit_trail::CurrentTrail;
use crate::config::Draft;
use crate::config::Environment;
use crate::generation::Generation;
use crate::pipeline::Gateway;
use crate::proxy::Proxy;
use crate::serve::ListenerKind;
use crate::serve::Listeners;
use crate::serve::access::CurrentAccessLog;
use crate::testing::requested_paths;
use crate::transport::Inherited;
use crate::transport::Shutdown;

/// The credentials of the user alice, which `simple` accepts.
const ALICE: &str = "Authorization: Basic YWxpY2U6eA==\r\n";

/// A running gateway.
struct Running {
    address: SocketAddr,
    ext_authz: Option<SocketAddr>,
    stop: watch::Sender<u64>,
    served: JoinHandle<()>,
}

impl Running {
    /// Serves a configuration. `[server]` and `[authenticators.simple]` are provided.
    async fn start(server: &str, routes: &str) -> Self {
        keep_log_lines();
        let proxy = Proxy::new();
        let generation = load(server, routes, &proxy).await;
        let mut listeners = Listeners::new(Inherited::default(), CurrentTrail::default());
        let prepared = listeners.prepare(&generation).unwrap();
        let address = prepared.address(ListenerKind::Public).unwrap();
        let ext_authz = prepared.address(ListenerKind::ExtAuthz);
        listeners.apply(prepared, &generation);
        let (stop, requested) = Shutdown::manual();
        let gateway = Arc::new(Gateway::new(generation, proxy));
        let served = tokio::spawn(listeners.serve(gateway, CurrentAccessLog::default(), requested));
        Self {
            address,
            ext_authz,
            stop,
            served,
        }
    }

    /// Serves one protected route in front of an upstream.
    async fn in_front_of(upstream: &Upstream) -> Self {
        Self::start("", &protected("/", upstream, "")).await
    }

    async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// Sends a request over a new connection, and returns the head of the response.
    async fn ask(&self, line: &str, headers: &str) -> String {
        let mut client = self.connect().await;
        client.request(line, headers).await;
        client.head().await
    }

    async fn stopped(self) {
        soon(self.served).await.unwrap();
    }
}

/// Makes every log statement active, whichever test reaches it first. Without a subscriber, a statement that is reached on
/// another thread while a test begins to collect lines would stay turned off for that test.
fn keep_log_lines() {
    static ONCE: Once = Once::new();
    // Only another subscriber of the process would be in the way, and there is none.
    ONCE.call_once(|| _ = tracing::subscriber::set_global_default(tracing_subscriber::Registry::default()));
}

/// A route that `simple` protects.
fn protected(path: &str, upstream: &Upstream, more: &str) -> String {
    route(path, upstream, &format!("authenticators = [\"simple\"]\n{more}"))
}

fn route(path: &str, upstream: &Upstream, more: &str) -> String {
    format!(
        "[[routes]]\npath = \"{path}\"\nupstream = \"http://{}\"\n{more}\n",
        upstream.address
    )
}

/// Every path of the shared table, and the status for a client without credentials.
fn table() -> impl Iterator<Item = (String, &'static str)> {
    let statuses = [
        ("refused", "400"),
        ("ambiguous", "400"),
        ("protected", "401"),
        ("open", "200"),
    ];
    statuses.into_iter().flat_map(|(list, status)| {
        let paths = requested_paths(list).into_iter();
        paths.map(move |path| (path, status))
    })
}

async fn load(server: &str, routes: &str, proxy: &Proxy) -> Generation {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    let text =
        format!("[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[authenticators.simple]\nplugin = \"simple\"\n{routes}");
    std::fs::write(&file, text).unwrap();
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let draft = Draft::read(&file, &Environment::from([("KEY", key), ("PASSWORD", "open sesame")]));
    Generation::load(draft, &engine(), proxy, None).await.unwrap()
}

/// An engine that caches compiled plugins beside the test executable, so that they are compiled once.
fn engine() -> Engine {
    let cache = std::env::current_exe().unwrap().with_file_name("compiled-plugins");
    Engine::builder().cache_directory(cache).build().unwrap()
}
