//! Reads certificates and keys from PEM files (RFC 7468). Error messages name the file, and never contain anything from it.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::files::private_file;
use crate::files::read_bytes;
use crate::tls::trust::Trusted;

/// The maximum size of a file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads the certificates of a file, in order. A file without a certificate is an error.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = path.display();
    let pem = read_bytes(path, MAX_FILE).map_err(|error| format!("{name} {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(format!("{name} has no certificate in PEM")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{name} is not PEM: {error}")),
    }
}

/// Reads the first private key of a file. Other users must not be able to access the file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = private_file(path, MAX_FILE)?;
    // The parser's error is dropped, because it could contain a part of the key.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let name = path.display();
        match is_encrypted(&pem) {
            true => format!("{name} has an encrypted private key; decrypt it: openssl pkey -in {name} -out NEW_FILE"),
            false => format!("{name} has no private key in PEM"),
        }
    })
}

/// Whether a PEM file has an encrypted key: in PKCS #8 (RFC 5958, section 3), or in the older form of OpenSSL.
fn is_encrypted(pem: &[u8]) -> bool {
    let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    marks
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|bytes| bytes == *mark))
}

/// Reads the certificates of a file as trusted authorities.
pub fn authorities(path: &Path) -> Result<RootCertStore, String> {
    trusted(path).map(|trusted| trusted.authorities)
}

/// Reads the certificates of a file as those of trusted authorities and servers.
pub fn trusted(path: &Path) -> Result<Trusted, String> {
    let mut authorities = RootCertStore::empty();
    let pins = certificates(path)?;
    for (index, certificate) in pins.iter().enumerate() {
        authorities.add(certificate.clone()).map_err(|error| {
            let (name, number) = (path.display(), index + 1);
            format!("{name}: certificate {number} can't be used: {error}")
        })?;
    }
    Ok(Trusted { authorities, pins })
}
