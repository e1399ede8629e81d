//! Certificates and keys in PEM files (RFC 7468). What is wrong is said with the file's name, and never with what stands
//! in it.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::files::private_file;
use crate::files::read_bytes;

/// Largest file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The certificates of a file, at least one, in its order.
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

/// The first private key of a file that is closed to others.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = private_file(path, MAX_FILE)?;
    // The parser's own words could show what it read.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("{} has no private key in PEM", path.display()))
}

/// The certificates of a file as authorities.
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
