//! Tickets by which a client resumes a TLS session at any gateway with the same keys (RFC 8446, section 2.2; RFC 5077). Their keys are
//! derived from those of the sessions and change with the clock, so nothing has to be stored or sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use aws_lc_rs::digest;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use rustls::server::ProducesTickets;

use super::ClientCertificates;
use crate::by_period::ByPeriod;
use crate::by_period::around;

/// Seals and opens tickets.
pub(crate) struct SharedTickets {
    roots: Vec<Key>,
    /// What the tickets are bound to: who may resume a session must be acceptable to a new handshake, too.
    bound_to: String,
    /// The key of the current period seals. Those of the last and the next one open, too.
    rings: ByPeriod<KeyRing>,
}

impl SharedTickets {
    /// Tickets with keys that are derived from these, of which the first one seals. They are of no use to a listener that asks for
    /// other client certificates.
    pub(crate) fn new(roots: Vec<Key>, clients: Option<&ClientCertificates>) -> Self {
        Self {
            roots,
            bound_to: bound_to(clients),
            rings: ByPeriod::new(PERIOD),
        }
    }

    /// A text that is the same for tickets that open each other.
    pub(crate) fn identity(&self) -> Option<String> {
        let ids = self
            .roots
            .iter()
            .map(|root| Some(root.derive("portcullis tls tickets id").ok()?.to_hex()));
        Some(format!(
            "{} {}",
            self.bound_to,
            Vec::from_iter(ids.collect::<Option<Vec<_>>>()?).join(" ")
        ))
    }

    /// `None` if the cryptographic library fails.
    fn ring(&self, now: SystemTime) -> Option<Arc<KeyRing>> {
        let ring = |number| {
            let keys = self.roots.iter().flat_map(|root| {
                around(number).map(|number| root.derive(&format!("portcullis tls tickets {number} {}", self.bound_to)))
            });
            KeyRing::new(keys.collect::<Result<Vec<_>, _>>()?)
        };
        self.rings.at(now, ring).ok()
    }

    fn seal(&self, session: &[u8], now: SystemTime) -> Option<Vec<u8>> {
        let sealed = self.ring(now)?.seal(PURPOSE, session)?;
        Some(sealed.into_bytes())
    }

    fn open(&self, ticket: &[u8], now: SystemTime) -> Option<Vec<u8>> {
        self.ring(now)?.open(PURPOSE, ticket)
    }
}

impl ProducesTickets for SharedTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(PERIOD.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, SystemTime::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, SystemTime::now())
    }
}

impl fmt::Debug for SharedTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedTickets(…)")
    }
}

/// A digest of whose certificates are accepted, and whether one is required.
fn bound_to(clients: Option<&ClientCertificates>) -> String {
    let Some(clients) = clients else {
        return "any client".to_owned();
    };
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[u8::from(clients.required)]);
    for authority in &clients.authorities.roots {
        for part in [authority.subject.as_ref(), authority.subject_public_key_info.as_ref()] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
    }
    hex::encode(context.finish())
}

const PURPOSE: &str = "tls ticket";

/// How long a key seals, and how long a client may keep a ticket. RFC 8446, section 4.6.1, allows a week.
const PERIOD: Duration = Duration::from_secs(12 * 3600);

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::TrustAnchor;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn tickets(roots: &[&Key], clients: Option<&ClientCertificates>) -> SharedTickets {
        SharedTickets::new(Vec::from_iter(roots.iter().map(|root| (*root).clone())), clients)
    }

    fn of_authority(key: &'static [u8], required: bool) -> ClientCertificates {
        let mut authorities = RootCertStore::empty();
        authorities.roots.push(TrustAnchor {
            subject: b"CN=authority"[..].into(),
            subject_public_key_info: key.into(),
            name_constraints: None,
        });
        ClientCertificates {
            authorities: Arc::new(authorities),
            required,
        }
    }

    #[test]
    fn a_ticket_opens_where_the_keys_and_the_accepted_clients_are_the_same() {
        let [one, other] = [Key::generate().unwrap(), Key::generate().unwrap()];
        let [a, a_optional, b] =
            [(b"a", true), (b"a", false), (b"b", true)].map(|(key, required)| of_authority(key, required));
        let now = SystemTime::now();
        let ticket = tickets(&[&one], Some(&a)).seal(b"session", now).unwrap();
        for (roots, clients, opens) in [
            (&[&one][..], Some(&a), true),
            (&[&other, &one], Some(&a), true),
            (&[&other], Some(&a), false),
            (&[&one], None, false),
            (&[&one], Some(&a_optional), false),
            (&[&one], Some(&b), false),
        ] {
            let tickets = tickets(roots, clients);
            assert_eq!(tickets.open(&ticket, now).is_some(), opens, "{clients:?}");
            let same = tickets.identity() == SharedTickets::new(vec![one.clone()], Some(&a)).identity();
            assert_eq!(same, opens && roots.len() == 1);
        }
    }

    #[test]
    fn a_ticket_is_of_no_use_after_a_day() {
        let root = Key::generate().unwrap();
        let made = SystemTime::UNIX_EPOCH + 500_000 * HOUR;
        let ticket = tickets(&[&root], None).seal(b"session", made).unwrap();
        let one = tickets(&[&root], None);
        for (at, opens) in [
            (made, true),
            (made + 12 * HOUR, true),
            (made + 24 * HOUR, false),
            (made - 12 * HOUR, true),
        ] {
            assert_eq!(one.open(&ticket, at).is_some(), opens, "{at:?}");
        }
        assert_eq!(one.open(b"AAAA", made), None);
    }
}
