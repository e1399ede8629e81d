//! When a certificate is valid. Clients refuse one that isn't, so the operator hears of it before they do.

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// How a certificate stands to the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// It isn't valid yet.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// It ends within two weeks.
    ExpiresSoon,
    /// It is valid.
    Valid,
}

/// From when and until when a certificate is valid, as times after 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Validity {
    from: Duration,
    until: Duration,
}

impl Validity {
    /// What a certificate says of itself (RFC 5280, section 4.1.2.5); none: it says nothing that can be read.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        Some(Self {
            from: validity.not_before.to_unix_duration(),
            until: validity.not_after.to_unix_duration(),
        })
    }

    /// The end, in seconds after 1970.
    pub(super) fn until(self) -> Duration {
        self.until
    }

    pub(super) fn status(self, now: SystemTime) -> Status {
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
    fn a_certificate_has_its_time() {
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
