//! `grants` of `[authenticators.NAME]` and `[authorizers.NAME]`: what a plugin may see and reach. By default, an authenticator sees
//! only the `Authorization` header, and an authorizer nothing that needs a grant.

use http::HeaderName;
use http::header;
use portcullis::Grants;
use portcullis::HttpGrant;
use portcullis::LoginGrant;
use portcullis::Role;
use portcullis::SigningKey;

use crate::config::document::Document;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::secret::secret;
use crate::config::secret::text_or_reference;
use crate::config::values;

/// Keys that a plugin may sign with, by the names by which it asks for them.
pub(super) type SigningKeys = Vec<(String, SigningKey)>;

/// What a plugin is granted.
pub(super) struct GrantsConfig {
    pub(super) grants: Grants,
    pub(super) signing_keys: SigningKeys,
    /// Whether the configuration says which servers it may ask, even if these are none.
    pub(super) names_servers: bool,
}

impl GrantsConfig {
    /// What a plugin in this role is granted without a table.
    pub(super) fn of_role(role: Role) -> Self {
        Self {
            grants: Grants::of_role(role),
            signing_keys: SigningKeys::new(),
            names_servers: false,
        }
    }
}

/// Reads the table of a plugin in this role, and the keys that it names.
pub(super) fn read(mut table: Table<'_>, role: Role) -> GrantsConfig {
    let mut grants = Grants::of_role(role);
    let headers = grants.headers.iter().map(|name| name.as_str());
    table.default("headers", Vec::from_iter(headers));
    if let Some(item) = table.take("headers") {
        grants.headers = values::each(Some(item), granted_header);
    }
    grants.cookies = values::each(table.take("cookies"), values::cookie_name);
    grants.query = values::each(table.take("query"), Item::text);
    grants.private = table.flag("private", false);
    let servers = table.take("http");
    let names_servers = servers.is_some();
    grants.http = values::each(servers, |item| http_grant(item, grants.private));
    if role != Role::Authorizer {
        grants.login = values::each(table.take("login"), login_grant);
    } else if let Some(item) = table.take_unlisted("login") {
        item.place
            .report("has no effect: only an authenticator that is a login sends browsers anywhere");
    }
    grants.client_certificate = table.flag("client_certificate", false);
    grants.negotiate = table.take("negotiate").and_then(Item::text);
    let keys = table.take("signing").and_then(Item::table);
    let keys = keys.into_iter().flat_map(Table::into_entries).filter_map(signing_key);
    let signing_keys = SigningKeys::from_iter(keys);
    grants.signing = signing_keys.iter().map(|(name, _)| name.clone()).collect();
    table.finish();
    GrantsConfig {
        grants,
        signing_keys,
        names_servers,
    }
}

/// Reads a private key in PEM, from the file or variable to which the value refers.
fn signing_key((name, item): (String, Item<'_>)) -> Option<(String, SigningKey)> {
    let place = item.place.clone();
    let pem = secret(item)?;
    let key = SigningKey::from_pem(pem.expose().as_bytes());
    let key = key.map_err(|error| place.report(error.to_string())).ok()?;
    Some((name, key))
}

fn granted_header(item: Item<'_>) -> Option<HeaderName> {
    let place = item.place.clone();
    let name = values::header_name(item)?;
    if name == header::COOKIE {
        place.report("the whole Cookie header can't be granted; list the cookies in `cookies`");
        return None;
    }
    Some(name)
}

/// A place to which a login may send browsers.
fn login_grant(item: Item<'_>) -> Option<LoginGrant> {
    let place = item.place.clone();
    let document: &Document<'_> = place.document();
    let grant = text_or_reference(document, item.text()?)
        .and_then(|text| text.parse::<LoginGrant>().map_err(|error| error.to_string()));
    grant.map_err(|message| place.report(message)).ok()
}

fn http_grant(item: Item<'_>, private: bool) -> Option<HttpGrant> {
    let place = item.place.clone();
    let document: &Document<'_> = place.document();
    let grant = text_or_reference(document, item.text()?)
        .and_then(|text| text.parse::<HttpGrant>().map_err(|error| error.to_string()));
    let grant = grant.and_then(|grant| {
        if grant.is_localhost() && !private {
            return Err(format!(
                "{grant} names this machine, which can't be reached by name: write its address, such as 127.0.0.1, or \
                 set private = true in the same grants"
            ));
        }
        Ok(grant)
    });
    grant.map_err(|message| place.report(message)).ok()
}
