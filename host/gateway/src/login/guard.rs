//! Ends a circle in which a browser logs in, is sent back, and logs in again: because it keeps no cookies, or because what it asks
//! for doesn't accept its session. A short-lived cookie counts the logins; who makes it up harms himself alone.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use portcullis::session::Flows;

/// How long a login counts.
const LIFE: Duration = Duration::from_secs(60);

/// After how many logins within that time the next one isn't begun.
const MOST: u8 = 3;

/// What the cookie is for, as a part of its name.
const PURPOSE: &str = "count";

/// Whether a browser has logged in too often to be sent there again.
pub(super) fn is_circle(flows: &Flows, headers: &HeaderMap) -> bool {
    count(flows, headers) >= MOST
}

/// The `Set-Cookie` value that counts one login more.
pub(super) fn one_more(flows: &Flows, headers: &HeaderMap) -> Option<HeaderValue> {
    let count = count(flows, headers).saturating_add(1);
    flows.set_beside(PURPOSE, &count.to_string(), LIFE)
}

/// The `Set-Cookie` value that counts none.
pub(super) fn none(flows: &Flows) -> Option<HeaderValue> {
    flows.set_beside(PURPOSE, "", Duration::ZERO)
}

fn count(flows: &Flows, headers: &HeaderMap) -> u8 {
    let count = flows.read_beside(headers, PURPOSE);
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}
