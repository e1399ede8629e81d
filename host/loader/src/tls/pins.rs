//! Trusts a server's certificate that the operator has named itself. Many programs in a cluster have a certificate as
//! `openssl req -x509` makes it: its own authority, often without a name.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::CertificateError;
use rustls::DigitallySignedStruct;
use rustls::Error;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;

use super::validity::Status;
use super::validity::Validity;

/// Accepts a server that shows one of the pinned certificates and has its key, whatever name or purpose the certificate
/// has, while it is valid. All other certificates are verified as usual.
#[derive(Debug)]
pub(super) struct PinningVerifier {
    pub(super) pins: Vec<CertificateDer<'static>>,
    pub(super) others: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pins.iter().any(|pin| pin == end_entity) {
            return self
                .others
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        let validity = Validity::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        match validity.status(SystemTime::now()) {
            Status::Valid | Status::ExpiresSoon => Ok(ServerCertVerified::assertion()),
            Status::Expired => Err(CertificateError::Expired.into()),
            Status::NotYetValid => Err(CertificateError::NotValidYet.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.others.supported_verify_schemes()
    }
}
