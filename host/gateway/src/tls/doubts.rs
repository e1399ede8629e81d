//! What is unusual about a certificate that can be served, but that clients may not accept.

use der::Decode;
use der::Encode;
use der::asn1::AnyRef;
use der::asn1::ObjectIdentifier;
use rustls::RootCertStore;
use x509_cert::Certificate as X509;

use super::Certificate;

impl Certificate {
    /// The reasons for which clients may not accept the certificate. `known` are the authorities that clients probably
    /// know.
    pub(crate) fn doubts(&self, known: &RootCertStore) -> Vec<String> {
        let file = self.files.certificate.display();
        let parsed = self.key.cert.first().and_then(|own| X509::from_der(own).ok());
        let Some(own) = parsed else { return Vec::new() };
        let mut doubts = Vec::new();
        if !has_alternative_name(&own) {
            doubts.push(format!(
                "{file} has no subjectAltName, so clients accept it for no host"
            ));
        }
        if let ([_], Some(issuer)) = (&self.key.cert[..], unknown_issuer(&own, known)) {
            doubts.push(format!(
                "{file} has the server's own certificate only, and the system knows no authority {issuer}: if that is an \
                 intermediate authority, append its certificate, or many clients fail"
            ));
        }
        doubts
    }
}

fn has_alternative_name(certificate: &X509) -> bool {
    let extensions = certificate.tbs_certificate().extensions();
    extensions.is_some_and(|extensions| extensions.iter().any(|extension| extension.extn_id == SUBJECT_ALT_NAME))
}

/// The issuer of a certificate, unless it is the certificate itself or a known authority.
fn unknown_issuer(certificate: &X509, known: &RootCertStore) -> Option<String> {
    let content = certificate.tbs_certificate();
    if content.issuer() == content.subject() {
        return None;
    }
    let issuer = content.issuer().to_der().ok()?;
    // A trust anchor has the name without the tag and the length around it.
    let inner = AnyRef::from_der(&issuer).ok()?.value();
    let is_known = known.roots.iter().any(|root| root.subject.as_ref() == inner);
    (!is_known).then(|| content.issuer().to_string())
}

/// RFC 5280, section 4.2.1.6.
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
