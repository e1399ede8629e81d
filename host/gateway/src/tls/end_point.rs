//! The channel binding `tls-server-end-point`, a hash of the server's certificate (RFC 5929, section 4). A token that is
//! bound to it can't be used at another TLS server.

use aws_lc_rs::digest;
use aws_lc_rs::digest::Algorithm;
use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::SHA384;
use aws_lc_rs::digest::SHA512;
use bytes::Bytes;
use der::Decode;
use der::Reader;
use der::SliceReader;
use der::asn1::AnyRef;
use der::asn1::ObjectIdentifier;
use der::asn1::SequenceRef;
use spki::AlgorithmIdentifierRef;

/// Returns the channel binding of a certificate in DER. `None` if the signature algorithm has no hash function, as with
/// Ed25519, because RFC 5929 then defines no binding.
pub(super) fn of(certificate: &[u8]) -> Option<Bytes> {
    let hash = hash(&signature_algorithm(certificate)?)?;
    let mut binding = PREFIX.to_vec();
    binding.extend(digest::digest(hash, certificate).as_ref());
    Some(binding.into())
}

/// RFC 5280, section 4.1: the second field of a certificate is the signature algorithm.
fn signature_algorithm(certificate: &[u8]) -> Option<AlgorithmIdentifierRef<'_>> {
    let outer = <&SequenceRef>::from_der(certificate).ok()?;
    let mut fields = SliceReader::new(outer.as_bytes()).ok()?;
    AnyRef::decode(&mut fields).ok()?;
    AlgorithmIdentifierRef::decode(&mut fields).ok()
}

/// Returns the hash function of a signature algorithm, with SHA-256 in place of MD5 and SHA-1 (RFC 5929, section 4.1).
fn hash(signature: &AlgorithmIdentifierRef<'_>) -> Option<&'static Algorithm> {
    match signature.oid {
        MD5_RSA | SHA1_RSA | SHA1_ECDSA | SHA256_RSA | SHA256_ECDSA => Some(&SHA256),
        SHA384_RSA | SHA384_ECDSA => Some(&SHA384),
        SHA512_RSA | SHA512_ECDSA => Some(&SHA512),
        RSA_PSS => pss_hash(signature.parameters),
        _ => None,
    }
}

/// RFC 4055, section 3.1: the hash function is the field [0], which defaults to SHA-1.
fn pss_hash(parameters: Option<AnyRef<'_>>) -> Option<&'static Algorithm> {
    let parameters = parameters?;
    let mut fields = SliceReader::new(parameters.value()).ok()?;
    if fields.is_finished() || !parameters.value().starts_with(&[0xa0]) {
        return Some(&SHA256);
    }
    let field = AnyRef::decode(&mut fields).ok()?;
    match AlgorithmIdentifierRef::from_der(field.value()).ok()?.oid {
        HASH_SHA1 | HASH_SHA256 => Some(&SHA256),
        HASH_SHA384 => Some(&SHA384),
        HASH_SHA512 => Some(&SHA512),
        _ => None,
    }
}

const PREFIX: &[u8] = b"tls-server-end-point:";

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const MD5_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.4");
const SHA1_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.5");
const RSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const SHA256_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const SHA384_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
const SHA512_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
const SHA1_ECDSA: ObjectIdentifier = oid("1.2.840.10045.4.1");
const SHA256_ECDSA: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const SHA384_ECDSA: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
const SHA512_ECDSA: ObjectIdentifier = oid("1.2.840.10045.4.3.4");
const HASH_SHA1: ObjectIdentifier = oid("1.3.14.3.2.26");
const HASH_SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
const HASH_SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
const HASH_SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
