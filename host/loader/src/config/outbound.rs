//! The keys `http_…` of `[authenticators.NAME]`: how a plugin's requests to other servers are sent. The plugin never sees the
//! headers and certificates that are added to its requests.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use portcullis::Grants;
use portcullis::HttpGrant;
use portcullis::Outbound;

use crate::config::pem;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::rotation::RotatingHeader;
use crate::config::secret::HeaderSecret;
use crate::config::secret::header_secret;
use crate::config::secret::text_or_reference;
use crate::tls::pem::trusted;
use crate::tls::trust;

const MAX_FLOOR: Duration = Duration::from_secs(3600);

/// Takes the keys out of an authenticator's table.
pub(super) fn read(table: &mut Table<'_>, grants: &Grants) -> (Outbound, Vec<RotatingHeader>) {
    let mut rotating = Vec::new();
    let floor = table.duration(
        "http_refresh_floor",
        Outbound::DEFAULT_REFRESH_FLOOR,
        Duration::ZERO..=MAX_FLOOR,
    );
    let mut outbound = Outbound::default().refresh_floor(floor);
    let headers = table.take("http_headers").and_then(Item::table);
    for (server, item) in headers.into_iter().flat_map(Table::into_entries) {
        outbound = with_headers(outbound, &server, item, grants, &mut rotating);
    }
    (tls(table, outbound), rotating)
}

fn tls(table: &mut Table<'_>, outbound: Outbound) -> Outbound {
    let roots = table.take("http_ca");
    let pair = pem::pair(table, "http_certificate", "http_key");
    let (roots_asked, place) = (roots.is_some(), pair.as_ref().map(|(_, key)| key.place.clone()));
    let identity = pair.and_then(pem::identity);
    let roots = roots.and_then(|item| pem::file(item, trusted));
    // There is nothing to configure, or a mistake has been reported already.
    if roots_asked != roots.is_some() || (!roots_asked && identity.is_none()) {
        return outbound;
    }
    match trust::client(roots.unwrap_or_else(trust::system), identity) {
        Ok(config) => outbound.tls(Arc::new(config)),
        Err(error) => {
            let place = place.unwrap_or_else(|| table.place.clone());
            place.report(format!("can't be used with http_certificate: {error}"));
            outbound
        }
    }
}

/// Adds the headers for one server. Those whose secret is in a file are added to `rotating`.
fn with_headers(
    outbound: Outbound,
    server: &str,
    item: Item<'_>,
    grants: &Grants,
    rotating: &mut Vec<RotatingHeader>,
) -> Outbound {
    let place = item.place.clone();
    let server = text_or_reference(place.document(), server.to_owned())
        .and_then(|text| text.parse::<HttpGrant>().map_err(|error| error.to_string()));
    let server = match server {
        Ok(server) if grants.http.iter().any(|grant| grant.includes(&server)) => Some(server),
        Ok(server) => {
            place.report(format!("{server} is not within grants.http"));
            None
        }
        Err(message) => {
            place.report(message);
            None
        }
    };
    let Some(headers) = item.table() else {
        return outbound;
    };
    headers.into_entries().fold(outbound, |outbound, (name, item)| {
        let place = item.place.clone();
        let Some((name, secret)) = header(&name, item) else {
            return outbound;
        };
        let value = match secret {
            HeaderSecret::Fixed(value) => value.into(),
            HeaderSecret::File(header) => {
                rotating.push(header.clone());
                header.header()
            }
        };
        let Some(server) = server.clone() else {
            return outbound;
        };
        outbound.clone().header(server, name, value).unwrap_or_else(|error| {
            place.report(error.to_string());
            outbound
        })
    })
}

fn header(name: &str, item: Item<'_>) -> Option<(HeaderName, HeaderSecret)> {
    let place = item.place.clone();
    let name = name.parse::<HeaderName>();
    if name.is_err() {
        place.report("is not a header name");
    }
    name.ok().zip(header_secret(item))
}
