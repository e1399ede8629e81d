//! The least code that calls a plugin through Wasmtime, without deadlines, bounds and grants. The host functions return
//! constants and verify signatures with one key.

use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use aws_lc_rs::signature::UnparsedPublicKey;
use wasmtime::Config;
use wasmtime::Engine;
use wasmtime::InstanceAllocationStrategy;
use wasmtime::PoolingAllocationConfig;
use wasmtime::Store;
use wasmtime::component::Component;
use wasmtime::component::HasSelf;
use wasmtime::component::Linker;
use wasmtime::component::Resource;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::WasiCtxView;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::WasiHttpCtx;
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::WasiHttpHooks;
use wasmtime_wasi_http::WasiHttpView;

use self::portcullis::auth::cache;
use self::portcullis::auth::crypto;
use self::portcullis::auth::types;
use crate::work;
use crate::work::Work;

wasmtime::component::bindgen!({
    path: "wit",
    world: "authenticator-plugin",
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::sync::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
        "wasi:http": wasmtime_wasi_http::p2::bindings::http,
    },
});

pub struct Bare {
    engine: Engine,
    pre: AuthenticatorPluginPre<Host>,
    settings: String,
    authorization: Vec<u8>,
    key: Vec<u8>,
}

pub struct Instance {
    store: Store<Host>,
    plugin: AuthenticatorPlugin,
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: NoServers,
    authorization: Vec<u8>,
    key: Vec<u8>,
}

impl Bare {
    pub fn new(work: Work) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.linear_memory_keep_resident(512 << 10);
        pool.table_keep_resident(64 << 10);
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, portcullis_plugins::find(work.plugin()).unwrap()).unwrap();
        let pre = AuthenticatorPluginPre::new(linker(&engine).instantiate_pre(&component).unwrap()).unwrap();
        let (settings, authorization) = (work.settings().to_string(), work.authorization().into_bytes());
        Self {
            engine,
            pre,
            settings,
            authorization,
            key: work::public_key(),
        }
    }

    pub fn instance(&mut self) -> Instance {
        let host = Host {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            hooks: NoServers,
            authorization: self.authorization.clone(),
            key: self.key.clone(),
        };
        let mut store = Store::new(&self.engine, host);
        let plugin = self.pre.instantiate(&mut store).unwrap();
        plugin
            .portcullis_auth_plugin()
            .call_configure(&mut store, &self.settings)
            .unwrap()
            .unwrap();
        Instance { store, plugin }
    }

    pub fn authenticate(&self, Instance { store, plugin }: &mut Instance) {
        let handle = Resource::new_borrow(0);
        let grant = plugin
            .portcullis_auth_authenticator()
            .call_authenticate(store, handle)
            .unwrap();
        assert!(grant.is_ok(), "not authenticated");
    }
}

fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker).unwrap();
    types::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
    crypto::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
    cache::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
    wasi::logging::logging::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
    linker
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// The measured plugins send no requests.
struct NoServers;

type Processing = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Processing), Error>;

impl WasiHttpHooks for NoServers {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processing: Processing,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

type Handle = Resource<types::Request>;

impl types::Host for Host {}

impl types::HostRequest for Host {
    fn method(&mut self, _: Handle) -> String {
        "GET".to_owned()
    }

    fn scheme(&mut self, _: Handle) -> String {
        "http".to_owned()
    }

    fn authority(&mut self, _: Handle) -> Option<String> {
        None
    }

    fn path(&mut self, _: Handle) -> String {
        "/".to_owned()
    }

    fn query(&mut self, _: Handle) -> Option<String> {
        None
    }

    fn header(&mut self, _: Handle, name: String) -> Vec<Vec<u8>> {
        if name.eq_ignore_ascii_case("authorization") {
            vec![self.authorization.clone()]
        } else {
            Vec::new()
        }
    }

    fn cookie(&mut self, _: Handle, _: String) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn client_address(&mut self, _: Handle) -> Option<String> {
        None
    }

    fn client_certificate(&mut self, _: Handle) -> Option<Vec<u8>> {
        None
    }

    fn route(&mut self, _: Handle) -> Option<String> {
        None
    }

    fn drop(&mut self, _: Handle) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl crypto::Host for Host {
    fn verify(
        &mut self,
        _: crypto::Algorithm,
        _: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool, String> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key);
        Ok(key.verify(&message, &signature).is_ok())
    }

    fn verify_password(&mut self, _: Vec<u8>, _: String) -> Result<bool, String> {
        Err("the benchmark has no passwords".to_owned())
    }
}

impl cache::Host for Host {
    fn get(&mut self, _: String) -> Option<Vec<u8>> {
        None
    }

    fn set(&mut self, _: String, _: Vec<u8>, _: u32) {}

    fn add(&mut self, _: String, _: Vec<u8>, _: u32) -> bool {
        true
    }

    fn delete(&mut self, _: String) {}
}

impl wasi::logging::logging::Host for Host {
    fn log(&mut self, _: wasi::logging::logging::Level, _: String, _: String) {}
}
