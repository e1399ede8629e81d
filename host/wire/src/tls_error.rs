//! TLS errors in words for an operator. The names of a TLS library's errors say what it checked, and not what to change.

use std::fmt;
use std::fmt::Display;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use rustls::AlertDescription;
use rustls::CertificateError;
use rustls::Error;
use rustls::InvalidMessage;
use rustls::OtherError;
use rustls::pki_types::UnixTime;

/// Why a TLS connection to a server failed: what was found and what to do. Contains nothing of the request.
#[derive(Clone, Copy, Debug)]
pub struct ServerTlsError<'a>(pub &'a Error);

impl Display for ServerTlsError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::InvalidCertificate(error) => certificate(error, f),
            Error::AlertReceived(alert) => alert_received(*alert, f),
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                f.write_str("it doesn't speak TLS at this port: use http://, or another port")
            }
            Error::PeerIncompatible(error) => {
                write!(
                    f,
                    "it doesn't support TLS 1.2 or 1.3 with the ciphers of today: {error:?}"
                )
            }
            error => error.fmt(f),
        }
    }
}

fn certificate(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        CertificateError::Expired => f.write_str("its certificate has expired"),
        CertificateError::ExpiredContext { not_after, .. } => {
            write!(f, "its certificate expired on {}", Date(*not_after))
        }
        CertificateError::NotValidYet => f.write_str("its certificate isn't valid yet"),
        CertificateError::NotValidYetContext { not_before, .. } => {
            write!(f, "its certificate isn't valid before {}", Date(*not_before))
        }
        CertificateError::UnknownIssuer => f.write_str(
            "its certificate comes from no authority that is trusted here: name the authority's file as ca (for a plugin, \
             http_ca), or let the server send the intermediate certificates, too",
        ),
        CertificateError::NotValidForName => f.write_str("its certificate is for other names"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            if presented.is_empty() {
                return write!(
                    f,
                    "its certificate has no subjectAltName, so it is valid for no host; {expected} was expected. Issue it \
                     anew, or name the certificate itself as ca"
                );
            }
            let presented = presented.join(", ");
            write!(f, "its certificate is for {presented}, and {expected} was expected: set server_name")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            f.write_str("its certificate isn't meant for servers (extendedKeyUsage without serverAuth)")
        }
        CertificateError::BadEncoding => f.write_str("its certificate can't be parsed"),
        CertificateError::BadSignature => f.write_str(
            "a signature of its certificates doesn't verify: the chain is in the wrong order, or an RSA key has fewer than \
             2048 bits",
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => f.write_str(
            "its certificate has a key or a signature that isn't supported: SHA-1, RSA with fewer than 2048 bits, or another \
             curve than P-256, P-384, P-521 and Ed25519",
        ),
        CertificateError::Other(error) => other(error, f),
        error => error.fmt(f),
    }
}

fn other(error: &OtherError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error.0.downcast_ref() {
        Some(webpki::Error::CaUsedAsEndEntity) => f.write_str(
            "its certificate is one of an authority (CA:TRUE), as openssl req -x509 makes it: name that certificate itself as \
             ca, or issue one for the server",
        ),
        Some(webpki::Error::EndEntityUsedAsCa) => {
            f.write_str("one of its certificates was issued by a certificate that is none of an authority (CA:FALSE)")
        }
        Some(webpki::Error::UnsupportedCertVersion) => f.write_str(
            "its certificate has version 1 or 2 of X.509, and version 3 is needed: issue it anew with a subjectAltName",
        ),
        _ => error.fmt(f),
    }
}

fn alert_received(alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match alert {
        AlertDescription::CertificateRequired => f.write_str("it wants a client certificate: set certificate and key"),
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            write!(f, "it doesn't accept the client certificate ({alert:?})")
        }
        AlertDescription::UnrecognisedName => f.write_str("it knows no host of this name: set server_name"),
        AlertDescription::ProtocolVersion => f.write_str("it supports neither TLS 1.2 nor TLS 1.3"),
        alert => write!(f, "it refused the handshake ({alert:?})"),
    }
}

/// A date in the form of HTTP.
struct Date(UnixTime);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The form of HTTP has no later year.
        let seconds = self.0.as_secs().min(LAST_SECOND);
        f.write_str(&httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;

    use super::*;

    fn said(error: Error) -> String {
        ServerTlsError(&error).to_string()
    }

    #[test]
    fn errors_of_certificates_say_what_to_do() {
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("app.example").unwrap(),
            presented: presented.iter().map(ToString::to_string).collect(),
        };
        let other = |error: webpki::Error| CertificateError::Other(OtherError(Arc::new(error)));
        let expired = CertificateError::ExpiredContext {
            time: UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)),
            not_after: UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000)),
        };
        for (error, expected) in [
            (expired, "expired on Tue, 14 Nov 2023 22:13:20 GMT"),
            (CertificateError::UnknownIssuer, "as ca"),
            (name(&[]), "has no subjectAltName"),
            (
                name(&["hub.example", "*.b"]),
                "is for hub.example, *.b, and app.example was expected",
            ),
            (other(webpki::Error::CaUsedAsEndEntity), "one of an authority (CA:TRUE)"),
            (
                other(webpki::Error::EndEntityUsedAsCa),
                "none of an authority (CA:FALSE)",
            ),
            (other(webpki::Error::UnsupportedCertVersion), "version 1 or 2 of X.509"),
            (CertificateError::BadSignature, "wrong order"),
        ] {
            let text = said(Error::InvalidCertificate(error));
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn other_errors_keep_their_text() {
        assert_eq!(said(Error::General("unusual".to_owned())), "unexpected error: unusual");
        assert!(said(Error::AlertReceived(AlertDescription::CertificateRequired)).contains("client certificate"));
    }

    #[test]
    fn a_date_beyond_the_calendar_is_its_end() {
        let date = Date(UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX)));
        assert_eq!(date.to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
