//! Loads a certificate chain and its private key from two PEM files. The pair is checked before it is served.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_loader::tls::pem;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::end_point;
use super::mismatch::Mismatch;

/// The files of a certificate and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CertificateFiles {
    /// The chain in PEM, beginning with the server's own certificate.
    pub(crate) certificate: PathBuf,
    /// The private key in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub(crate) key: PathBuf,
}

/// A loaded certificate with its key.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(super) files: CertificateFiles,
    pub(super) key: Arc<CertifiedKey>,
    /// The `tls-server-end-point` channel binding. `None` if the certificate has none.
    pub(super) channel_binding: Option<Bytes>,
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// The message names the file, and contains nothing from either file.
    pub(crate) fn load(self) -> Result<Certificate, String> {
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::private_key(&self.key)?;
        let of_certificate = chain.first().and_then(Mismatch::of_certificate);
        if let Some(mismatch) = of_certificate {
            return Err(format!("{} can't be used: {mismatch}", self.certificate.display()));
        }
        let together = |why: &dyn fmt::Display| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            format!("{certificate} and {key} can't be used together: {why}")
        };
        let provider = aws_lc_rs::default_provider();
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| together(&error))?;
        if let Some(mismatch) = Mismatch::of_chain(&chain, &*key) {
            return Err(together(&mismatch));
        }
        let key = CertifiedKey::new(chain, key);
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
    /// What it is called in metrics.
    pub(crate) fn label(&self) -> String {
        self.files.certificate.display().to_string()
    }

    /// Whether the certificate is valid for this host, by its subject alternative names (RFC 9525).
    pub(super) fn is_for(&self, host: &ServerName<'_>) -> bool {
        let own = self.key.end_entity_cert().ok();
        let own = own.and_then(|own| ParsedCertificate::try_from(own).ok());
        own.is_some_and(|own| verify_server_name(&own, host).is_ok())
    }
}
