//! Why a certificate and its key can't be used, in words. A TLS library reports what its parser expected.

use std::fmt;

use der::Decode;
use der::Reader;
use der::SliceReader;
use der::asn1::ObjectIdentifier;
use der::asn1::UintRef;
use rustls::pki_types::CertificateDer;
use rustls::sign::SigningKey;
use x509_cert::Certificate;
use x509_cert::certificate::Version;

/// What is unusual about a server's certificate or its chain.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Mismatch {
    /// The key belongs to the certificate with this number, which is not the first one.
    Order(usize),
    /// The key belongs to none of the certificates.
    OtherKey,
    /// The key is RSA with this number of bits.
    ShortRsaKey(usize),
    /// The key is on a curve that isn't supported.
    UnknownCurve(ObjectIdentifier),
    /// The certificate has an older version of X.509.
    Version,
}

impl Mismatch {
    /// Finds what is wrong with the certificate itself. `None` if it is unknown.
    pub(super) fn of_certificate(own: &CertificateDer<'_>) -> Option<Self> {
        let own = Certificate::from_der(own).ok()?;
        if own.tbs_certificate().version() != Version::V3 {
            return Some(Self::Version);
        }
        let key = own.tbs_certificate().subject_public_key_info();
        match key.algorithm.oid {
            RSA => {
                let bits = rsa_bits(key.subject_public_key.as_bytes()?)?;
                (bits < MIN_RSA_BITS).then_some(Self::ShortRsaKey(bits))
            }
            ELLIPTIC_CURVE => {
                let curve = key.algorithm.parameters.as_ref()?.decode_as().ok()?;
                (!CURVES.contains(&curve)).then_some(Self::UnknownCurve(curve))
            }
            _ => None,
        }
    }

    /// Finds the certificate to which a key belongs, if it isn't the first one.
    pub(super) fn of_chain(chain: &[CertificateDer<'_>], key: &dyn SigningKey) -> Option<Self> {
        let public = key.public_key()?;
        let belongs = |certificate: &CertificateDer<'_>| {
            let certificate = public_key(certificate);
            certificate.is_some_and(|certificate| certificate == public.as_ref())
        };
        match chain.iter().position(belongs) {
            Some(0) => None,
            Some(index) => Some(Self::Order(index + 1)),
            None => Some(Self::OtherKey),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(number) => write!(
                f,
                "the key belongs to certificate {number}; the server's own certificate must come first, and then the one that \
                 issued it"
            ),
            Self::OtherKey => f.write_str("the key belongs to another certificate"),
            Self::ShortRsaKey(bits) => {
                write!(f, "the RSA key has {bits} bits, and {MIN_RSA_BITS} are needed")
            }
            Self::UnknownCurve(curve) => {
                write!(
                    f,
                    "the key is on the curve {curve}, and P-256, P-384, P-521 or Ed25519 is needed"
                )
            }
            Self::Version => f.write_str(
                "the certificate has version 1 or 2 of X.509, and version 3 is needed: issue it with a subjectAltName",
            ),
        }
    }
}

/// The public key of a certificate, as DER of a SubjectPublicKeyInfo.
fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    use der::Encode;

    let certificate = Certificate::from_der(certificate).ok()?;
    certificate.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// The length of an RSA key's modulus (RFC 8017, appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader
        .sequence(|inner| {
            let modulus = UintRef::decode(inner)?;
            UintRef::decode(inner)?;
            Ok::<_, der::Error>(modulus)
        })
        .ok()?;
    let zeros = modulus.as_bytes().first()?.leading_zeros();
    Some(modulus.as_bytes().len() * 8 - usize::try_from(zeros).ok()?)
}

const MIN_RSA_BITS: usize = 2048;

/// RFC 8017, appendix A.1; RFC 5480, section 2.1.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// P-256, P-384 and P-521.
const CURVES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    ObjectIdentifier::new_unwrap("1.3.132.0.35"),
];
