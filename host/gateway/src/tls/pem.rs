//! Reads certificates and keys from PEM files (RFC 7468). Error messages name the file, and never contain anything from it.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::files::private_file;
use crate::files::read_bytes;

/// The maximum size of a file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads the certificates of a file, in order. A file without a certificate is an error.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
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
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = private_file(path, MAX_FILE)?;
    // The parser's error is dropped, because it could contain a part of the key.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("{} has no private key in PEM", path.display()))
}

/// Reads the certificates of a file as trusted authorities.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(path)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            let (name, number) = (path.display(), index + 1);
            format!("{name}: certificate {number} can't be used: {error}")
        })?;
    }
    Ok(roots)
}
