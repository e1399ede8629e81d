//! TLS for outbound requests of plugins and of the proxy: the trusted authorities, and an optional client certificate.
//! Protocol versions and cipher suites are rustls's defaults.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::Error;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;

/// A client's certificate chain and private key.
pub(crate) type ClientIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Loads the certificate authorities that the system trusts.
pub(crate) fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some certificate authorities of the system can't be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            "the system has no trusted certificate authorities; https requests need a configured one, such as http_ca or ca"
        );
    }
    roots
}

/// Makes the TLS settings of a client that trusts these authorities.
pub(crate) fn client(roots: RootCertStore, identity: Option<ClientIdentity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    match identity {
        Some((certificates, key)) => config.with_client_auth_cert(certificates, key),
        None => Ok(config.with_no_client_auth()),
    }
}
