//! A certificate with its key, from two PEM files.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::end_point;
use crate::tls::pem;

/// Where a certificate and its key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CertificateFiles {
    /// The chain in PEM, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    /// The private key in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub(crate) key: PathBuf,
}

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(super) files: CertificateFiles,
    pub(super) key: Arc<CertifiedKey>,
    /// What a token may be bound to.
    pub(super) channel_binding: Option<Bytes>,
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// What is wrong with which file; never anything that stands in them.
    pub(crate) fn load(self) -> Result<Certificate, String> {
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::private_key(&self.key)?;
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            format!("{certificate} and {key} can't be used together: {error}")
        })?;
        let own = key.end_entity_cert().map_err(|error| error.to_string());
        if let Err(error) = own.and_then(|own| ParsedCertificate::try_from(own).map_err(|error| error.to_string())) {
            return Err(format!("{} can't be used: {error}", self.certificate.display()));
        }
        let channel_binding = key.end_entity_cert().ok().and_then(|own| end_point::of(own));
        Ok(Certificate {
            files: self,
            channel_binding,
            key: Arc::new(key),
        })
    }
}

impl Certificate {
    /// Whether it is for this host: one of its alternative names says so (RFC 9525).
    pub(super) fn is_for(&self, host: &ServerName<'_>) -> bool {
        let own = self.key.end_entity_cert().ok();
        let own = own.and_then(|own| ParsedCertificate::try_from(own).ok());
        own.is_some_and(|own| verify_server_name(&own, host).is_ok())
    }
}
