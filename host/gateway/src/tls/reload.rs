//! Hot reload of certificates: their files are read again every few seconds. Unlike file system notifications, this sees
//! every kind of change: an overwritten file, a symbolic link that certbot changed, a folder that Kubernetes swapped.

use std::time::Duration;
use std::time::SystemTime;

use portcullis_loader::tls::validity::Status;
use portcullis_loader::tls::validity::Validity;
use rustls::pki_types::CertificateDer;

use super::certificate::Certificate;
use super::store::Store;

const INTERVAL: Duration = Duration::from_secs(2);

/// Replaces every certificate whose files have changed. The future never completes.
///
/// A certificate and its key are two files, so they may not match for a moment while they are replaced. Therefore an error
/// is logged only if it is still there the next time. Until it is fixed, the old certificate is served.
pub(super) async fn watch(store: &Store) {
    metrics::describe_gauge!(
        "portcullis_certificate_expires_at_seconds",
        metrics::Unit::Seconds,
        "When each served certificate expires, as Unix time"
    );
    let mut failures: Vec<Option<Failure>> = vec![None; store.current().len()];
    let mut reported = vec![Status::Valid; failures.len()];
    loop {
        for (certificate, reported) in store.current().iter().zip(&mut reported) {
            report_status(certificate, reported);
        }
        tokio::time::sleep(INTERVAL).await;
        for ((index, certificate), failure) in store.current().iter().enumerate().zip(&mut failures) {
            let files = certificate.files.clone();
            let loaded = tokio::task::spawn_blocking(move || files.load()).await;
            match loaded.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(new) if is_same(certificate, &new) => *failure = None,
                Ok(new) => {
                    tracing::info!(certificate = %new.files.certificate.display(), "a new certificate is served");
                    store.replace(index, new);
                    *failure = None;
                }
                Err(error) => *failure = Some(Failure::seen(failure.take(), error)),
            }
        }
    }
}

/// Logs a change of a certificate's status, and updates the metric of its expiry.
fn report_status(certificate: &Certificate, reported: &mut Status) {
    let own = certificate.key.cert.first();
    let Some(validity) = own.and_then(Validity::of) else {
        return;
    };
    let file = certificate.files.certificate.display();
    metrics::gauge!("portcullis_certificate_expires_at_seconds", "certificate" => certificate.label())
        .set(validity.until().as_secs_f64());
    let status = validity.status(SystemTime::now());
    match status {
        _ if status == *reported => {}
        Status::Valid => tracing::info!(certificate = %file, "a certificate is valid again"),
        status => tracing::warn!(certificate = %file, "a certificate {status}"),
    }
    *reported = status;
}

/// An error that occurred while a certificate was reloaded, and whether it has been logged.
#[derive(Clone, Debug)]
struct Failure {
    error: String,
    reported: bool,
}

impl Failure {
    fn seen(before: Option<Self>, error: String) -> Self {
        let reported = match before {
            Some(before) if before.error == error => {
                if !before.reported {
                    tracing::warn!(%error, "a certificate changed and can't be used; the old one is served");
                }
                true
            }
            _ => false,
        };
        Self { error, reported }
    }
}

fn is_same(old: &Certificate, new: &Certificate) -> bool {
    let chain = |certificate: &Certificate| -> Vec<CertificateDer<'static>> { certificate.key.cert.clone() };
    chain(old) == chain(new)
}
