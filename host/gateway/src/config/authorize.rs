//! `authorize_with` and `upstream_credentials` of a route, which leave decisions to the upstream: whether a user may make a
//! request, and whether certain credentials are valid.

use std::time::Duration;

use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;
use portcullis_wire::path::CanonicalPath;

use crate::routing::exceptions::Exception;
use crate::routing::exceptions::RequestPattern;
use crate::routing::exceptions::UpstreamCredentials;
use crate::routing::template::Template;

/// The authorization request that a route sends to its upstream.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizeWith {
    /// The method and path of the request.
    pub(crate) template: Template,
    /// How long a positive answer is reused.
    pub(crate) cached_for: Duration,
}

/// The maximum number of request patterns in a list.
const MAX_REQUESTS: usize = 64;

/// Reads `authorize_with` and `authorize_cache` of a route with this path. Returns `None` if `authorize_with` isn't set, or
/// if it is wrong.
pub(super) fn authorize(table: &mut Table<'_>, route: Option<&CanonicalPath>) -> Option<AuthorizeWith> {
    let with = table.take("authorize_with");
    table.default("authorize_cache", values::shown_duration(DEFAULT_CACHE));
    let cached_for = table.take("authorize_cache");
    let Some(with) = with else {
        if let Some(cached_for) = cached_for {
            cached_for.place.report("has no effect without authorize_with");
        }
        return None;
    };
    let cached_for = cached_for.and_then(|item| values::duration(item, Duration::ZERO..=MAX_CACHE));
    let place = with.place.clone();
    let template = Template::parse(&with.text()?, route?).map_err(|message| place.report(message));
    Some(AuthorizeWith {
        template: template.ok()?,
        cached_for: cached_for.unwrap_or(DEFAULT_CACHE),
    })
}

/// Reads `upstream_credentials`.
pub(super) fn upstream_credentials(table: &mut Table<'_>, route: Option<&CanonicalPath>) -> UpstreamCredentials {
    let Some(item) = table.take("upstream_credentials") else {
        return UpstreamCredentials::default();
    };
    let exceptions = item.list().into_iter().filter_map(|item| exception(item, route));
    UpstreamCredentials::new(exceptions.collect())
}

fn exception(item: Item<'_>, route: Option<&CanonicalPath>) -> Option<Exception> {
    let mut table = item.table()?;
    let scheme = table.require("scheme").and_then(scheme);
    let place = table.place.clone();
    let requests = values::each(table.require("requests"), |item| {
        let place = item.place.clone();
        let pattern = RequestPattern::parse(&item.text()?, route?);
        pattern.map_err(|message| place.report(message)).ok()
    });
    if requests.len() > MAX_REQUESTS {
        place.report(format!("more than {MAX_REQUESTS} requests"));
    }
    table.finish();
    Some(Exception {
        scheme: scheme?,
        requests,
    })
}

/// An authentication scheme (RFC 9110, section 11.1).
fn scheme(item: Item<'_>) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    item.parse("a scheme of the Authorization header, such as \"token\"", |text| {
        (!text.is_empty() && text.bytes().all(allowed)).then(|| text.to_owned())
    })
}

const DEFAULT_CACHE: Duration = Duration::from_secs(10);
const MAX_CACHE: Duration = Duration::from_secs(60);
