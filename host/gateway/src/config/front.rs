//! `[forward_auth]` and `[ext_authz]`: the endpoints for fronts, which are proxies that ask the gateway about their requests.
//! The gateway recognises a front by its address, its client certificate or a shared token.

use std::fmt;

use http::HeaderValue;
use portcullis_loader::config::document::Environment;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::secret::secret;
use subtle::ConstantTimeEq;

use crate::config::Listen;
use crate::config::ServerConfig;
use crate::config::TlsConfig;

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

/// The endpoints for fronts that ask over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct ForwardAuthConfig {
    /// Where the separate listener listens. `None` if the public listener serves the endpoints.
    pub(crate) listen: Option<Listen>,
    /// TLS of the separate listener. `None` for plain HTTP.
    pub(crate) tls: Option<TlsConfig>,
    /// The token by which fronts are recognised. `None` if a front must be a trusted proxy or show a certificate.
    pub(crate) proxy_token: Option<ProxyToken>,
}

/// Envoy's gRPC service `envoy.service.auth.v3.Authorization`.
#[derive(Clone, Debug)]
pub(crate) struct ExtAuthzConfig {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// TLS of the listener. `None` for HTTP/2 in plain text.
    pub(crate) tls: Option<TlsConfig>,
    /// The token by which fronts are recognised. `None` if a front must be a trusted proxy or show a certificate.
    pub(crate) proxy_token: Option<ProxyToken>,
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

/// A secret of 32 bytes that the gateway shares with its fronts.
#[derive(Clone)]
pub(crate) struct ProxyToken([u8; TOKEN]);

impl ProxyToken {
    /// Parses 64 hexadecimal digits, the format of dask-gateway's `DASK_GATEWAY_PROXY_TOKEN`.
    fn from_hex(text: &str) -> Result<Self, String> {
        let token = decode(text.trim().as_bytes())
            .ok_or("expected 32 random bytes as 64 hexadecimal digits: `portcullis keygen` makes them")?;
        if token.iter().all(|byte| Some(byte) == token.first()) {
            return Err("its bytes are all the same: `portcullis keygen` makes a random one".to_owned());
        }
        Ok(Self(token))
    }

    /// Whether a header's value is this token. The comparison takes constant time.
    pub(crate) fn is(&self, value: &HeaderValue) -> bool {
        decode(value.as_bytes()).is_some_and(|sent| self.0.ct_eq(&sent).into())
    }
}

impl fmt::Debug for ProxyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyToken(…)")
    }
}

fn decode(text: &[u8]) -> Option<[u8; TOKEN]> {
    let mut token = [0; TOKEN];
    hex::decode_to_slice(text, &mut token).ok()?;
    Some(token)
}

/// Reads the token from the section, or else from the environment. It is an error if there is none and fronts aren't
/// recognised in another way, because any client could then use the endpoint.
fn proxy_token(table: &mut Table<'_>, fronts_are_known: bool) -> Option<ProxyToken> {
    if let Some(item) = table.take("proxy_token") {
        let place = item.place.clone();
        return ProxyToken::from_hex(secret(item)?.expose())
            .map_err(|message| place.report(message))
            .ok();
    }
    let place = &table.place;
    let Some((name, text)) = variable(place.document().environment()) else {
        if !fronts_are_known {
            report_unknown_front(place);
        }
        return None;
    };
    ProxyToken::from_hex(text)
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

const VARIABLES: [&str; 2] = ["PORTCULLIS_PROXY_TOKEN", "DASK_GATEWAY_PROXY_TOKEN"];
const TOKEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn only_the_complete_token_matches() {
        let token = ProxyToken::from_hex(&format!("{TEXT}\n")).unwrap();
        let is = |text: &str| token.is(&HeaderValue::from_str(text).unwrap());
        assert!(is(TEXT) && is(&TEXT.to_uppercase()));
        for text in [
            "",
            "00",
            &TEXT[..62],
            &format!("{TEXT}00"),
            &TEXT.replace("1f", "1e"),
            &"zz".repeat(32),
        ] {
            assert!(!is(text), "{text}");
        }
        assert!(!format!("{token:?}").contains("0102"));
    }

    #[test]
    fn weak_and_malformed_tokens_are_rejected() {
        for text in ["", "x", &TEXT[..62], &"00".repeat(32), &"zz".repeat(32)] {
            assert!(ProxyToken::from_hex(text).is_err(), "{text}");
        }
    }
}
