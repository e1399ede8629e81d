//! The sandbox of one call: a plugin instance and the host functions for the request, the cache, signatures, Negotiate
//! tokens, clocks, logging and HTTP requests. Everything is bounded, and the instance is dropped when the call ends, unless the
//! operator wants it kept.

mod absent;
mod budget;
mod cache;
mod clock;
mod clocks;
mod config;
mod crypto;
pub(crate) mod error;
mod exports;
mod instance;
mod io;
mod logging;
mod memory_limiter;
mod negotiate;
mod outbound;
mod renewal;
mod request;
mod scheduler;
mod signing;
mod slow_hash;
mod snapshot;
mod stdio;

use std::sync::Arc;

use wasmtime::component::HasSelf;
use wasmtime::component::Linker;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtxView;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::WasiCli;
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::clocks::WasiClocks;
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_http::WasiHttpCtx;

use self::clock::Clock;
use self::memory_limiter::MemoryLimiter;
use self::scheduler::ComputePermit;
use self::stdio::Wasi;
use crate::contract;
use crate::decision::AttributeRead;
use crate::egress::CallEgress;
use crate::grants::Grants;
use crate::negotiate::Negotiator;
use crate::plugin_log::LogLines;
use crate::request::AuthRequest;
use crate::shared::Patience;
use crate::signing::SigningKeys;

pub(crate) use self::absent::is_absent;
pub(crate) use self::absent::link;
pub(crate) use self::budget::Budget;
pub(crate) use self::budget::Share;
pub(crate) use self::cache::Cache;
pub(crate) use self::config::InstanceConfig;
pub(crate) use self::config::Runtime;
pub(crate) use self::crypto::Keys;
pub use self::error::PluginError;
pub(crate) use self::error::bounded;
pub(crate) use self::exports::Export;
pub(crate) use self::exports::Plugin;
pub(crate) use self::exports::PluginPre;
pub(crate) use self::instance::Instance;
pub(crate) use self::instance::Reply;
pub(crate) use self::renewal::Unfit;
pub(crate) use self::scheduler::Expected;
pub(crate) use self::scheduler::FairScheduler;
pub(crate) use self::scheduler::ProcessorShare;
pub(crate) use self::snapshot::NoSnapshot;
pub(crate) use self::snapshot::snapshot;

/// The host's state for one instance: everything that its host functions use.
pub(crate) struct HostState {
    limiter: MemoryLimiter,
    table: ResourceTable,
    /// `None` until the plugin needs it.
    wasi: Option<Box<Wasi>>,
    http: WasiHttpCtx,
    outbound: CallEgress,
    clock: Clock,
    permit: ComputePermit,
    log: LogLines,
    grants: Arc<Grants>,
    keys: Arc<Keys>,
    /// The memory for plugins that is left.
    memory: Arc<Budget>,
    cache: Option<Arc<Cache>>,
    /// How long the call has waited for the shared state.
    patience: Patience,
    negotiator: Option<Arc<dyn Negotiator>>,
    tokens_left: usize,
    signing_keys: Arc<SigningKeys>,
    signatures_left: usize,
    request: Option<Arc<AuthRequest>>,
    reads: Vec<AttributeRead>,
    /// Whether the plugin drew random numbers; the seeds of its hash maps don't count.
    drew_random: bool,
    /// What it used that differs from call to call, or that a copy of it would not have.
    unrepeatable: Option<&'static str>,
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let log = &self.log;
        WasiCtxView {
            ctx: &mut self.wasi.get_or_insert_with(|| Box::new(Wasi::new(log))).ctx,
            table: &mut self.table,
        }
    }
}

/// The host functions for plugins. There are none for files or sockets: a component that imports those gets
/// [`link`].
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    use wasmtime_wasi::p2::bindings::cli;
    use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
    use wasmtime_wasi::p2::bindings::random;
    use wasmtime_wasi_http::p2::bindings::http;

    let mut linker = Linker::new(engine);
    let l = &mut linker;
    contract::portcullis::auth::types::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    contract::portcullis::auth::crypto::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    contract::portcullis::auth::cache::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    contract::portcullis::auth::negotiate::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    contract::portcullis::auth::outbound::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    contract::portcullis::auth::signing::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    contract::wasi::logging::logging::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    io::add_to_linker(l)?;
    clocks::add_to_linker(l)?;
    monotonic_clock::add_to_linker::<_, WasiClocks>(l, HostState::clocks)?;
    random::random::add_to_linker::<_, WasiRandom>(l, HostState::random)?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, HostState::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    cli::environment::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, HostState::cli)?;
    http::types::add_to_linker::<_, wasmtime_wasi_http::WasiHttp>(
        l,
        &http::types::LinkOptions::default(),
        HostState::http,
    )?;
    http::outgoing_handler::add_to_linker::<_, wasmtime_wasi_http::WasiHttp>(l, HostState::http)?;
    Ok(linker)
}

/// What a plugin uses that sends requests, for [`HostState::used`].
const REQUESTS: &str = "requests to other servers";

impl HostState {
    fn random(&mut self) -> &mut wasmtime_wasi::random::WasiRandomCtx {
        self.drew_random = true;
        self.used("random numbers");
        self.ctx().ctx.random()
    }

    /// Remembers that the plugin used something that differs from call to call.
    fn used(&mut self, what: &'static str) {
        self.unrepeatable.get_or_insert(what);
    }

    fn http(&mut self) -> wasmtime_wasi_http::WasiHttpCtxView<'_> {
        self.used(REQUESTS);
        wasmtime_wasi_http::WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
