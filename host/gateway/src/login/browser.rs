//! Who can be sent to log in and come back: a browser that opens a page. The fields of Fetch Metadata and of programs only narrow
//! this, because any client can send them (CVE-2026-40864).

use http::Method;

use super::visit::Visit;
use crate::answers::html;

/// What a request that nobody has authenticated comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seeker {
    /// A browser that opens a page, and comes back after a login.
    Page,
    /// A browser that opens a page in a frame, where providers don't let people log in.
    Frame,
    /// A browser that sends a form, which would be lost on the way.
    Form,
    /// A script of a page, or a program.
    Program,
}

impl Seeker {
    /// Reads what the request comes from.
    pub(super) fn of(visit: &Visit<'_>) -> Self {
        let (mode, destination) = (visit.header("sec-fetch-mode"), visit.header("sec-fetch-dest"));
        let opens = html::wants_html(visit.headers)
            && mode.is_none_or(|mode| mode == "navigate")
            && OF_PROGRAMS.iter().all(|name| !visit.has(name))
            && !is_prefetched(visit);
        match (opens, destination) {
            (true, None | Some("document")) if visit.method == Method::GET => Self::Page,
            (true, Some("frame" | "iframe" | "embed" | "object")) if visit.method == Method::GET => Self::Frame,
            (true, None | Some("document" | "frame" | "iframe")) if visit.method == Method::POST => Self::Form,
            _ => Self::Program,
        }
    }
}

/// Whether a browser loads the page before anybody has asked for it.
pub(super) fn is_prefetched(visit: &Visit<'_>) -> bool {
    ["sec-purpose", "purpose", "x-moz"].iter().any(|name| {
        let purpose = visit.header(name).unwrap_or_default();
        purpose.to_ascii_lowercase().contains("prefetch")
    })
}

/// Whether a script or an element of a page asks, and not somebody who opens a page.
pub(super) fn is_subresource(visit: &Visit<'_>) -> bool {
    visit.header("sec-fetch-mode").is_some_and(|mode| mode != "navigate")
}

/// What only scripts and programs send.
const OF_PROGRAMS: [&str; 4] = ["authorization", "upgrade", "x-requested-with", "hx-request"];
