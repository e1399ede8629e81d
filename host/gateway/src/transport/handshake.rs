//! TLS handshakes that fail, as lines in the log and as a metric. Scanners cause any number of them, so few are logged.

use std::io;
use std::num::NonZero;
use std::sync::LazyLock;

use governor::DefaultDirectRateLimiter;
use governor::Quota;
use governor::RateLimiter;
use portcullis_wire::peer::Peer;
use rustls::AlertDescription;
use rustls::CertificateError;
use rustls::Error;
use rustls::InvalidMessage;

/// Why a handshake failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct HandshakeFailure {
    /// The value of the metric's label.
    reason: &'static str,
    /// The reason for people.
    why: String,
}

impl HandshakeFailure {
    /// The client didn't complete the handshake in time.
    pub(super) fn timeout() -> Self {
        Self::new("timeout", "it wasn't complete within header_timeout")
    }

    /// Finds the reason of an error.
    pub(super) fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(Error::AlertReceived(alert)) => Self::of_alert(*alert),
            Some(Error::InvalidCertificate(error)) => Self::new("client_certificate", certificate(error)),
            Some(Error::NoCertificatesPresented) => Self::new(
                "client_certificate",
                "the client showed no certificate, and client_certificates requires one",
            ),
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::new(
                "not_tls",
                "the client doesn't speak TLS; perhaps it uses http:// for this port",
            ),
            Some(Error::PeerIncompatible(error)) => Self::new(
                "incompatible",
                format!("the client supports no version or cipher of today: {error:?}"),
            ),
            Some(error) => Self::new("protocol", error.to_string()),
            None => Self::new("closed", format!("the connection broke off: {error}")),
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        let why = match alert {
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
                format!("the client doesn't accept the gateway's certificate ({alert:?})")
            }
            AlertDescription::CertificateExpired => {
                "the client says that the gateway's certificate has expired".to_owned()
            }
            alert => format!("the client ended the handshake ({alert:?})"),
        };
        Self::new("alert", why)
    }

    fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self {
            reason,
            why: why.into(),
        }
    }

    /// Counts the failure, and logs it unless too many others were logged in the same second.
    pub(super) fn report(self, client: &Peer) {
        metrics::counter!("portcullis_tls_handshake_failures_total", "reason" => self.reason).increment(1);
        // Browsers connect ahead of time, and load balancers probe the port.
        if self.reason != "closed" && LINES.check().is_ok() {
            tracing::info!(%client, reason = self.reason, why = self.why, "a TLS handshake failed");
        } else {
            tracing::debug!(%client, reason = self.reason, why = self.why, "a TLS handshake failed");
        }
    }
}

/// Describes the metric.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "portcullis_tls_handshake_failures_total",
        "TLS handshakes with clients that failed, by reason"
    );
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the client's certificate has expired".to_owned()
        }
        CertificateError::UnknownIssuer => "the client's certificate comes from no authority in client_ca".to_owned(),
        error => format!("the client's certificate is invalid: {error}"),
    }
}

/// How many failures are logged.
static LINES: LazyLock<DefaultDirectRateLimiter> =
    LazyLock::new(|| RateLimiter::direct(Quota::per_second(LINES_PER_SECOND)));

const LINES_PER_SECOND: NonZero<u32> = NonZero::new(5).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_a_reason_in_words() {
        let tls = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        for (error, reason, words) in [
            (
                tls(Error::AlertReceived(AlertDescription::UnknownCA)),
                "alert",
                "doesn't accept the gateway's certificate",
            ),
            (
                tls(Error::NoCertificatesPresented),
                "client_certificate",
                "showed no certificate",
            ),
            (
                tls(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
                "client_certificate",
                "no authority in client_ca",
            ),
            (
                tls(Error::InvalidMessage(InvalidMessage::InvalidContentType)),
                "not_tls",
                "uses http:// for this port",
            ),
            (tls(Error::General("odd".to_owned())), "protocol", "odd"),
            (io::ErrorKind::UnexpectedEof.into(), "closed", "broke off"),
        ] {
            let failure = HandshakeFailure::of(&error);
            assert_eq!(failure.reason, reason);
            assert!(failure.why.contains(words), "{failure:?}");
        }
    }
}
