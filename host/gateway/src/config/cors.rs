//! `[routes.cors]`: which web pages may read the gateway's own responses on a route. The upstream's responses are its own
//! business.

use http::HeaderValue;
use http::Uri;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;

/// The maximum number of origins.
const MAX_ORIGINS: usize = 64;

/// Which pages may read the gateway's own responses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cors {
    /// The origins of the pages. `None` for every origin.
    pub(crate) origins: Option<Vec<HeaderValue>>,
    /// Whether pages may send cookies and other credentials.
    pub(crate) credentials: bool,
}

impl Cors {
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let place = table.place.clone();
        let listed = table.require("origins")?;
        let listed_place = listed.place.clone();
        let origins = values::each(Some(listed), origin);
        let credentials = table.flag("credentials", false);
        table.finish();
        if origins.is_empty() {
            listed_place.report("the list is empty; it needs at least one origin, such as \"https://app.example\"");
        }
        if origins.len() > MAX_ORIGINS {
            listed_place.report(format!("more than {MAX_ORIGINS} origins"));
        }
        let is_every = origins.iter().any(|origin| origin == "*");
        if is_every && credentials {
            place.report("origins = [\"*\"] and credentials contradict each other: browsers accept no such response");
        }
        Some(Self {
            origins: (!is_every).then_some(origins),
            credentials,
        })
    }
}

/// Reads an origin as browsers send it (RFC 6454, section 6.2), or `*`.
fn origin(item: Item<'_>) -> Option<HeaderValue> {
    item.parse(
        "an origin without a path, such as \"https://app.example\" or \"http://localhost:3000\", or \"*\"",
        |text| {
            let uri: Uri = text.parse().ok()?;
            let is_origin = text == "*"
                || (matches!(uri.scheme_str(), Some("http" | "https"))
                    && !uri.authority()?.as_str().contains(['@', '*'])
                    && text == format!("{}://{}", uri.scheme_str()?, uri.authority()?));
            let lower = text.to_ascii_lowercase();
            is_origin.then(|| HeaderValue::try_from(lower).ok()).flatten()
        },
    )
}
