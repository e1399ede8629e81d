//! `[forward_auth]` and `[ext_authz]`: the endpoints for fronts, which are proxies that ask the gateway about their requests.
//! The gateway recognises a front by its address, its client certificate or a shared token.

use portcullis_loader::config::document::Environment;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;

use crate::config::Listen;
use crate::config::ServerConfig;
use crate::config::TlsConfig;
use crate::config::Token;

/// The settings of all listeners for clients and fronts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenConfig {
    /// The public listener.
    pub(crate) server: ServerConfig,
    /// The endpoints for fronts over HTTP. `None` if they aren't served.
    pub(crate) forward_auth: Option<ForwardAuthConfig>,
    /// The gRPC endpoint for Envoy. `None` if it isn't served.
    pub(crate) ext_authz: Option<ExtAuthzConfig>,
}

impl ListenConfig {
    /// The TLS settings of all listeners that have some.
    pub(crate) fn tls(&self) -> impl Iterator<Item = &TlsConfig> {
        let forward_auth = self.forward_auth.as_ref().and_then(|front| front.tls.as_ref());
        let ext_authz = self.ext_authz.as_ref().and_then(|front| front.tls.as_ref());
        [forward_auth, ext_authz, self.server.tls.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// The endpoints for fronts that ask over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct ForwardAuthConfig {
    /// Where the separate listener listens. `None` if the public listener serves the endpoints.
    pub(crate) listen: Option<Listen>,
    /// TLS of the separate listener. `None` for plain HTTP.
    pub(crate) tls: Option<TlsConfig>,
    /// The token by which fronts are recognised. `None` if a front must be a trusted proxy or show a certificate.
    pub(crate) proxy_token: Option<Token>,
}

/// Envoy's gRPC service `envoy.service.auth.v3.Authorization`.
#[derive(Clone, Debug)]
pub(crate) struct ExtAuthzConfig {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// TLS of the listener. `None` for HTTP/2 in plain text.
    pub(crate) tls: Option<TlsConfig>,
    /// The token by which fronts are recognised. `None` if a front must be a trusted proxy or show a certificate.
    pub(crate) proxy_token: Option<Token>,
}

impl ForwardAuthConfig {
    pub(super) fn read(mut table: Table<'_>, proxies_are_trusted: bool) -> Self {
        let listen = Listen::read(&mut table, "127.0.0.1:8002");
        let place = table.place.clone();
        let tls = table.take("tls").and_then(Item::table).and_then(TlsConfig::read);
        if tls.is_some() && listen.is_none() {
            place.report("tls needs a separate listener: set listen");
        }
        let certified = tls.as_ref().is_some_and(TlsConfig::requires_certificates);
        let proxy_token = proxy_token(&mut table, proxies_are_trusted || certified);
        table.finish();
        Self {
            listen,
            tls,
            proxy_token,
        }
    }
}

impl ExtAuthzConfig {
    /// Returns `None` if `listen` is missing or wrong.
    pub(super) fn read(mut table: Table<'_>, proxies_are_trusted: bool) -> Option<Self> {
        let before = table.place.document().error_count();
        let listen = Listen::read(&mut table, "127.0.0.1:8002");
        if listen.is_none() && table.place.document().error_count() == before {
            table
                .place
                .report("the key \"listen\" is missing: the endpoint for Envoy needs a separate listener");
        }
        let tls = table.take("tls").and_then(Item::table).and_then(TlsConfig::read);
        let certified = tls.as_ref().is_some_and(TlsConfig::requires_certificates);
        let proxy_token = proxy_token(&mut table, proxies_are_trusted || certified);
        table.finish();
        Some(Self {
            listen: listen?,
            tls,
            proxy_token,
        })
    }
}

/// Reads the token from the section, or else from the environment. It is an error if there is none and fronts aren't
/// recognised in another way, because any client could then use the endpoint.
fn proxy_token(table: &mut Table<'_>, fronts_are_known: bool) -> Option<Token> {
    if let Some(item) = table.take("proxy_token") {
        return Token::read(item);
    }
    let place = &table.place;
    let Some((name, text)) = variable(place.document().environment()) else {
        if !fronts_are_known {
            report_unknown_front(place);
        }
        return None;
    };
    Token::from_hex(text)
        .map_err(|message| place.report(format!("{name}: {message}")))
        .ok()
}

fn report_unknown_front(place: &Place<'_>) {
    let [ours, compatible] = VARIABLES;
    place.report(format!(
        "the gateway couldn't recognise a front: list its address in server.trusted_proxies, share a secret with it by \
         proxy_token = \"file:PATH\", {ours} or {compatible}, or require its certificate by tls.client_ca; otherwise any \
         client could pretend to be a front"
    ));
}

fn variable(environment: &Environment) -> Option<(&'static str, &str)> {
    VARIABLES
        .iter()
        .find_map(|name| Some((*name, environment.variable(name)?)))
}

/// The variables of which the first that is set has the token, if none is configured.
pub(super) const VARIABLES: [&str; 2] = ["PORTCULLIS_PROXY_TOKEN", "DASK_GATEWAY_PROXY_TOKEN"];
