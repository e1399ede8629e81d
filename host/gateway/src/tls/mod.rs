//! TLS on the gateway's listeners: certificate selection by host name, client certificates, and hot reload. Protocol
//! versions and cipher suites are rustls's defaults.

mod certificate;
mod doubts;
mod end_point;
mod mismatch;
mod reload;
mod store;
mod tickets;

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
pub(crate) use self::tickets::SharedTickets;

/// The settings for client certificates.
#[derive(Clone, Debug)]
pub(crate) struct ClientCertificates {
    /// The certificate authorities that issue them.
    pub(crate) authorities: Arc<RootCertStore>,
    /// Whether a client without a certificate is rejected.
    pub(crate) required: bool,
}

/// The server side of TLS. Clones share the certificates.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    store: Arc<Store>,
}

impl Tls {
    /// Clients get the first certificate if they send no host name (SNI), or if no certificate is valid for it. Without tickets,
    /// they resume their sessions at this process only.
    ///
    /// # Errors
    ///
    /// Returns an error if the authorities for client certificates can't be used.
    pub(crate) fn new(
        certificates: Vec<Certificate>,
        clients: Option<&ClientCertificates>,
        tickets: Option<SharedTickets>,
    ) -> Result<Self, TlsError> {
        let store = Arc::new(Store::new(certificates));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(verifier(clients)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&store) as _);
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        if let Some(tickets) = tickets {
            config.ticketer = Arc::new(tickets);
        }
        Ok(Self {
            config: Arc::new(config),
            store,
        })
    }

    /// The configuration for accepting connections.
    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Whether both share their certificates, and accept the same clients.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }

    /// Returns the channel binding (RFC 5929) of the certificate that is served for this host name.
    ///
    /// If the certificate was replaced after the handshake, this is the binding of the new one, and a token that is bound
    /// to the old one is refused.
    pub(crate) fn channel_binding(&self, name: Option<&str>) -> Option<Bytes> {
        self.store.channel_binding(name)
    }

    /// Reloads certificates when their files change. The future never completes.
    pub(crate) async fn reload(self) {
        reload::watch(&self.store).await;
    }
}

/// The protocols that are offered by ALPN (RFC 7301), in order of preference.
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
