//! The validity period of a certificate. Clients reject an expired certificate, so the operator is warned two weeks before.

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The status of a certificate at a point in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a certificate is in exactly one of these states")]
pub enum Status {
    /// The validity period hasn't begun.
    NotYetValid,
    /// The validity period is over.
    Expired,
    /// The certificate is valid, but expires within two weeks.
    ExpiresSoon,
    /// The certificate is valid.
    Valid,
}

/// The validity period of a certificate, as Unix times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    from: Duration,
    until: Duration,
}

impl Validity {
    /// Parses the validity period (RFC 5280, section 4.1.2.5). `None` if the certificate can't be parsed.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        Some(Self {
            from: validity.not_before.to_unix_duration(),
            until: validity.not_after.to_unix_duration(),
        })
    }

    /// The end of the validity period, as Unix time.
    pub fn until(self) -> Duration {
        self.until
    }

    /// The status at this time.
    pub fn status(self, now: SystemTime) -> Status {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if now < self.from {
            Status::NotYetValid
        } else if now > self.until {
            Status::Expired
        } else if self.until - now < WARNING_PERIOD {
            Status::ExpiresSoon
        } else {
            Status::Valid
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotYetValid => "isn't valid yet",
            Self::Expired => "has expired",
            Self::ExpiresSoon => "expires within two weeks",
            Self::Valid => "is valid",
        })
    }
}

const WARNING_PERIOD: Duration = Duration::from_secs(14 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_the_validity_period() {
        let day = Duration::from_secs(24 * 3600);
        let validity = Validity {
            from: day * 10,
            until: day * 100,
        };
        for (at, status) in [
            (day * 9, Status::NotYetValid),
            (day * 10, Status::Valid),
            (day * 86, Status::Valid),
            (day * 87, Status::ExpiresSoon),
            (day * 100, Status::ExpiresSoon),
            (day * 101, Status::Expired),
        ] {
            assert_eq!(validity.status(UNIX_EPOCH + at), status, "{at:?}");
        }
        assert_eq!(Validity::of(&CertificateDer::from(vec![0x30, 0])), None);
    }
}
