//! The methods of HTTP as actions.

/// The actions that every policy may name.
pub(crate) const COMMON: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Registered methods that are safe: they only read (RFC 9110, section 9.2.1; IANA's HTTP Method Registry).
const SAFE: [&str; 9] = [
    "GET", "HEAD", "OPTIONS", "PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE",
];

/// Registered methods that aren't safe.
const UNSAFE: [&str; 31] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPPATCH",
    "PUT",
    "REBIND",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether a policy may name this method.
pub(crate) fn is_known(method: &str) -> bool {
    SAFE.contains(&method) || UNSAFE.contains(&method)
}

/// The group of actions that a method belongs to. One that nobody knows may change something.
pub(crate) fn group(method: &str) -> &'static str {
    if SAFE.contains(&method) { "read" } else { "write" }
}
