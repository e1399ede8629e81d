//! TLS towards clients: which certificate a name gets, whether clients show one, and new certificates while the gateway
//! runs. Protocol versions and ciphers are rustls's defaults.

mod certificate;
mod end_point;
pub(crate) mod pem;
mod reload;
mod store;
pub(crate) mod trust;
mod validity;

use std::sync::Arc;

use bytes::Bytes;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

pub(crate) use self::certificate::Certificate;
pub(crate) use self::certificate::CertificateFiles;
use self::store::Store;

/// Whether clients show certificates.
#[derive(Clone, Debug)]
pub(crate) struct ClientCertificates {
    /// Who issues them.
    pub(crate) authorities: Arc<RootCertStore>,
    /// Whether a client without one is turned away.
    pub(crate) required: bool,
}

/// The server's side of TLS. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    store: Arc<Store>,
}

impl Tls {
    /// Serves the first certificate to clients that name no host or one that no certificate is for.
    ///
    /// # Errors
    ///
    /// When the authorities for client certificates can't be used.
    pub(crate) fn new(certificates: Vec<Certificate>, clients: Option<&ClientCertificates>) -> Result<Self, TlsError> {
        let store = Arc::new(Store::new(certificates));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(verifier(clients)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&store) as _);
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        Ok(Self {
            config: Arc::new(config),
            store,
        })
    }

    /// What connections are accepted with.
    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// What a client that asked for this name may bind a token to (RFC 5929): the certificate that it was shown. In the
    /// moment in which that one is replaced it may be the next one's, and a bound token is refused.
    pub(crate) fn channel_binding(&self, name: Option<&str>) -> Option<Bytes> {
        self.store.channel_binding(name)
    }

    /// Takes up new certificates whenever their files change, for as long as it is polled.
    pub(crate) async fn reload(self) {
        reload::watch(&self.store).await;
    }
}

/// RFC 7301: what the gateway speaks, the better one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

fn verifier(clients: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&clients.authorities), provider);
    let builder = if clients.required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    Ok(builder.build()?)
}

/// Why TLS can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("TLS can't be served: {0}")]
    Config(#[from] rustls::Error),
    #[error("the authorities for client certificates can't be used: {0}")]
    Clients(#[from] rustls::server::VerifierBuilderError),
}
