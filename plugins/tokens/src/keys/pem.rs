//! Converts public keys and certificates in PEM into JWKs: RSA, P-256, P-384, P-521 and Ed25519 (RFC 7468, sections 5 and
//! 13; RFC 8017, appendix A.1.1). A private key is an error that says how to extract the public key.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use der::Decode;
use der::Encode;
use der::Reader;
use der::SliceReader;
use der::Tagged;
use der::asn1::AnyRef;
use der::asn1::ObjectIdentifier;
use der::asn1::UintRef;
use der::pem;
use spki::SubjectPublicKeyInfoRef;

use super::jwk::Jwk;
use super::jwk::Key;
use crate::text::Text;

/// The beginning of every PEM block, which no JWK Set and no reasonable secret contains.
pub(crate) const BEGIN: &str = "-----BEGIN ";

/// Reads every public key of a PEM text. The keys have no ids, so they are tried for tokens with any id.
pub(crate) fn parse(text: &str) -> Result<Vec<Key<'static>>, String> {
    let blocks = text
        .match_indices(BEGIN)
        .map(|(start, _)| text.get(start..).unwrap_or_default());
    blocks.map(key).collect()
}

/// Reads the key in the PEM block at the start of `text`.
fn key(text: &str) -> Result<Key<'static>, String> {
    let end = text
        .find("-----END ")
        .and_then(|end| Some(end + text.get(end..)?.find('\n').unwrap_or(text.len() - end)));
    let block = end
        .and_then(|end| text.get(..end))
        .ok_or("the PEM has no end line")?
        .trim_end();
    let mut der = Vec::new();
    let mut decoder = pem::Decoder::new_detect_wrap(block.as_bytes()).map_err(|_| MALFORMED)?;
    decoder.decode_to_end(&mut der).map_err(|_| MALFORMED)?;
    let jwk = match decoder.type_label() {
        "PUBLIC KEY" => public_key(&der),
        "RSA PUBLIC KEY" => rsa(&der),
        "CERTIFICATE" => key_of_certificate(&der),
        label if label.ends_with("PRIVATE KEY") => {
            return Err(
                "the PEM is a private key, which does not belong here; take its public key: \
                openssl pkey -in FILE -pubout"
                    .to_owned(),
            );
        }
        _ => None,
    };
    let jwk = jwk.ok_or("the PEM is neither a certificate nor a public key of RSA, P-256, P-384, P-521 or Ed25519")?;
    Key::try_from(jwk).map_err(|reason| format!("the public key in the PEM {reason}"))
}

const MALFORMED: &str = "the PEM is malformed";

/// A `SubjectPublicKeyInfo` (RFC 5480, section 2; RFC 3279, section 2.3.1; RFC 8410, section 4).
fn public_key(der: &[u8]) -> Option<Jwk<'static>> {
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    let key = info.subject_public_key.as_bytes()?;
    match info.algorithm.oid {
        RSA => rsa(key),
        EC => ec(info.algorithm.parameters_oid().ok()?, key),
        ED25519 => Some(Jwk {
            crv: text("Ed25519"),
            x: number(key),
            ..of_type("OKP")
        }),
        _ => None,
    }
}

/// The key of a certificate (RFC 5280, section 4.1), in which it stands after the subject. The rest of the
/// certificate is ignored, because the operator or the provider who names it vouches for the key.
pub(super) fn key_of_certificate(der: &[u8]) -> Option<Jwk<'static>> {
    let to_be_signed: der::Result<AnyRef<'_>> = AnyRef::from_der(der).ok()?.sequence(|body| {
        let to_be_signed = AnyRef::decode(body)?;
        // The signature's algorithm, and the signature.
        AnyRef::decode(body)?;
        AnyRef::decode(body)?;
        Ok(to_be_signed)
    });
    let key: der::Result<AnyRef<'_>> = to_be_signed.ok()?.sequence(|fields| {
        let mut field = AnyRef::decode(fields)?;
        if field.tag().is_context_specific() {
            // That was the version. The serial number follows.
            field = AnyRef::decode(fields)?;
        }
        // After the serial number: algorithm, issuer, validity, subject and the key.
        for _ in 0..5 {
            field = AnyRef::decode(fields)?;
        }
        while !fields.is_finished() {
            AnyRef::decode(fields)?;
        }
        Ok(field)
    });
    public_key(&key.ok()?.to_der().ok()?)
}

/// An `RSAPublicKey`: modulus and exponent.
fn rsa(der: &[u8]) -> Option<Jwk<'static>> {
    let mut reader = SliceReader::new(der).ok()?;
    let numbers: der::Result<_> = reader.sequence(|body| Ok((UintRef::decode(body)?, UintRef::decode(body)?)));
    let (n, e) = numbers.ok()?;
    reader.finish().ok()?;
    Some(Jwk {
        n: number(n.as_bytes()),
        e: number(e.as_bytes()),
        ..of_type("RSA")
    })
}

/// An uncompressed point (SEC 1, section 2.3.3).
fn ec(curve: ObjectIdentifier, point: &[u8]) -> Option<Jwk<'static>> {
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

    let (name, size) = match curve {
        P256 => ("P-256", 32),
        P384 => ("P-384", 48),
        P521 => ("P-521", 66),
        _ => return None,
    };
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(size)?;
    Some(Jwk {
        crv: text(name),
        x: number(x),
        y: number(y),
        ..of_type("EC")
    })
}

fn of_type(kty: &'static str) -> Jwk<'static> {
    Jwk {
        kty: Text::new(kty),
        kid: None,
        alg: None,
        purpose: None,
        key_ops: None,
        crv: None,
        n: None,
        e: None,
        x: None,
        y: None,
        x5c: None,
    }
}

fn text(text: &'static str) -> Option<Text<'static>> {
    Some(Text::new(text))
}

fn number(bytes: &[u8]) -> Option<Text<'static>> {
    Some(Text::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}
