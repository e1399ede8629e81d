//! TLS for requests of plugins to other servers: the certificate authorities that the system trusts. As OpenSSL does, it reads
//! `SSL_CERT_FILE` and `SSL_CERT_DIR`.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::Error;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;

/// The TLS configuration of a client that trusts these authorities.
pub(crate) fn client() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some certificate authorities of the system can't be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("the system has no trusted certificate authorities: plugins can't send requests over https");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
