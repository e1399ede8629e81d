//! `[server.tls]`, and `tls` in the sections of other listeners: the certificates of a listener, and whether clients are
//! asked for certificates.

use std::sync::Arc;

use portcullis_loader::config::pem;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::tls::pem::authorities;

use crate::tls::Certificate;
use crate::tls::CertificateFiles;
use crate::tls::ClientCertificates;

/// The maximum number of certificates.
const MAX_CERTIFICATES: usize = 256;

/// The TLS settings of a listener.
#[derive(Clone, Debug)]
pub(crate) struct TlsConfig {
    /// The certificates, beginning with the default one.
    pub(crate) certificates: Vec<Certificate>,
    /// The settings for client certificates. `None` if clients aren't asked for them.
    pub(crate) clients: Option<ClientCertificates>,
    /// Whether clients resume their sessions at other gateways with the same keys.
    pub(crate) shared_tickets: bool,
}

impl TlsConfig {
    /// Whether clients without a certificate are rejected.
    pub(crate) fn requires_certificates(&self) -> bool {
        self.clients.as_ref().is_some_and(|clients| clients.required)
    }

    /// Returns `None` if the table has any mistake.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let place = table.place.clone();
        let before = place.document().error_count();
        let mut certificates = Vec::from_iter(certificate(&mut table));
        for item in table.take("certificates").map(Item::list).unwrap_or_default() {
            let Some(mut entry) = item.table() else { continue };
            let listed = certificate(&mut entry);
            if listed.is_none() && place.document().error_count() == before {
                entry.place.report("needs cert and key");
            }
            entry.finish();
            certificates.extend(listed);
        }
        let clients = clients(&mut table);
        let shared_tickets = table.flag("shared_tickets", false);
        table.finish();
        if place.document().error_count() > before {
            return None;
        }
        if certificates.is_empty() {
            place.report("there is no certificate: set cert and key");
            return None;
        }
        if certificates.len() > MAX_CERTIFICATES {
            place.report(format!("more than {MAX_CERTIFICATES} certificates"));
            return None;
        }
        Some(Self {
            certificates,
            clients,
            shared_tickets,
        })
    }
}

/// Reads `cert` and `key`. Returns `None` if both are missing or anything is wrong.
fn certificate(table: &mut Table<'_>) -> Option<Certificate> {
    let (cert, key) = pem::pair(table, "cert", "key")?;
    let place = cert.place.clone();
    let file = |item: Item<'_>| {
        let place = item.place.clone();
        item.text().map(|path| place.document().live_file(&path))
    };
    let (certificate, key) = (file(cert), file(key));
    let files = CertificateFiles {
        certificate: certificate?,
        key: key?,
    };
    files.load().map_err(|error| place.report(error)).ok()
}

/// Reads `client_ca` and `client_certificates`.
fn clients(table: &mut Table<'_>) -> Option<ClientCertificates> {
    let demand = table.take("client_certificates");
    let ca = table.take("client_ca");
    let Some(ca) = ca else {
        if let Some(demand) = demand {
            demand
                .place
                .report("needs the authorities that issue the certificates: set client_ca");
        }
        return None;
    };
    let required = match demand {
        None => Some(true),
        Some(demand) => demand.word(&[("optional", false), ("required", true)]),
    };
    let authorities = pem::file(ca, authorities);
    Some(ClientCertificates {
        authorities: Arc::new(authorities?),
        required: required?,
    })
}
