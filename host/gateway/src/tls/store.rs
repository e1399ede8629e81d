//! The certificates that are currently served. A client gets the first one that is valid for the host name it sent (SNI).

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// The certificates, beginning with the default one.
#[derive(Debug)]
pub(super) struct Store(ArcSwap<Vec<Certificate>>);

impl Store {
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        Self(ArcSwap::from_pointee(certificates))
    }

    /// The certificates that are currently served.
    pub(super) fn current(&self) -> Arc<Vec<Certificate>> {
        self.0.load_full()
    }

    /// Replaces a certificate. Existing connections aren't affected.
    pub(super) fn replace(&self, index: usize, certificate: Certificate) {
        let mut certificates = Vec::clone(&self.0.load());
        if let Some(place) = certificates.get_mut(index) {
            *place = certificate;
        }
        self.0.store(Arc::new(certificates));
    }

    /// Returns the channel binding of the certificate for this host name.
    pub(super) fn channel_binding(&self, name: Option<&str>) -> Option<Bytes> {
        self.find(name, |certificate| certificate.channel_binding.clone())
            .flatten()
    }

    fn find<T>(&self, name: Option<&str>, part: impl FnOnce(&Certificate) -> T) -> Option<T> {
        let certificates = self.0.load();
        let host = name.and_then(|name| ServerName::try_from(name).ok());
        let own = host.and_then(|host| certificates.iter().find(|certificate| certificate.is_for(&host)));
        own.or_else(|| certificates.first()).map(part)
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), |certificate| Arc::clone(&certificate.key))
    }
}
