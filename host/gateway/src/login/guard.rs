//! Ends a circle in which a browser logs in, is sent back, and logs in again: because it keeps no cookies, because what it asks
//! for doesn't accept its session, or because the session is due again before it is back. A short-lived cookie counts the logins;
//! who makes it up harms himself alone.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use portcullis::Digest;
use portcullis::session::Flows;

use super::return_to::ReturnTo;

/// How long a login counts.
const LIFE: Duration = Duration::from_secs(60);

/// After how many logins within that time the next one isn't begun.
const MOST: u8 = 3;

/// What the cookie is for, as a part of its name.
const PURPOSE: &str = "count";

/// Whether a browser has logged in too often on its way to this place to be sent there again. Another place is another tab.
pub(super) fn is_circle(flows: &Flows, headers: &HeaderMap, to: &ReturnTo) -> bool {
    count(flows, headers, to) >= MOST
}

/// The `Set-Cookie` value that counts one login more on the way to this place.
pub(super) fn one_more(flows: &Flows, headers: &HeaderMap, to: &ReturnTo) -> Option<HeaderValue> {
    let count = count(flows, headers, to).saturating_add(1);
    flows.set_beside(PURPOSE, &format!("{count}{}", mark(to)), LIFE)
}

/// The `Set-Cookie` value that counts none.
pub(super) fn none(flows: &Flows) -> Option<HeaderValue> {
    flows.set_beside(PURPOSE, "", Duration::ZERO)
}

fn count(flows: &Flows, headers: &HeaderMap, to: &ReturnTo) -> u8 {
    let counted = flows.read_beside(headers, PURPOSE);
    let count = counted.and_then(|counted| counted.strip_suffix(&mark(to))?.parse().ok());
    count.unwrap_or_default()
}

/// Stands for a place, which is too long for a cookie.
fn mark(to: &ReturnTo) -> String {
    let digest = Digest::of(to.as_str().as_bytes()).to_string();
    format!(".{}", digest.get(..MARKED).unwrap_or_default())
}

/// How many hexadecimal digits of its digest stand for a place.
const MARKED: usize = 12;
