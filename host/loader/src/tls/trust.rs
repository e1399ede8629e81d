//! TLS for outbound requests of plugins and of the proxy: the trusted authorities, and an optional client certificate.
//! Protocol versions and cipher suites are rustls's defaults.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::Error;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;

use super::pins::PinningVerifier;
use super::system_verifier::SystemVerifier;

/// A client's certificate chain and private key.
pub type ClientIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Whom a client trusts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trusted {
    /// The certificate authorities.
    pub authorities: RootCertStore,
    /// The certificates that are also trusted as those of a server itself.
    pub pins: Vec<CertificateDer<'static>>,
}

/// Loads the certificate authorities that the system trusts.
pub fn system() -> Trusted {
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
    Trusted {
        authorities: roots,
        pins: Vec::new(),
    }
}

/// Makes the TLS settings of a client that trusts the authorities of the system, and reads them when it needs them.
///
/// # Errors
///
/// Returns an error if no version of TLS can be offered.
pub fn client_of_system() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(SystemVerifier::new(&provider));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.dangerous().with_custom_certificate_verifier(verifier);
    Ok(config.with_no_client_auth())
}

/// Makes the TLS settings of a client.
pub fn client(trusted: Trusted, identity: Option<ClientIdentity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = if trusted.pins.is_empty() {
        config.with_root_certificates(trusted.authorities)
    } else {
        let others = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted.authorities), provider).build();
        let verifier = PinningVerifier {
            pins: trusted.pins,
            others: others.map_err(|error| Error::General(error.to_string()))?,
        };
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    };
    match identity {
        Some((certificates, key)) => config.with_client_auth_cert(certificates, key),
        None => Ok(config.with_no_client_auth()),
    }
}
