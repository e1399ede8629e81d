//! The names of cookies that belong to the host, such as that of its sessions. A plugin that could set one of them could plant
//! a session of an attacker in a user's browser.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::RwLock;

/// How the names of the cookies begin in which attempts to log in are kept.
pub(crate) const FLOW_COOKIE: &str = "portcullis-flow-";

/// The same over TLS.
pub(crate) const SECURE_FLOW_COOKIE: &str = "__Host-portcullis-flow-";

/// The names that no plugin may set. A name that is reserved once stays so: a browser may still have a session from before the
/// name was changed.
#[derive(Debug)]
pub(crate) struct ReservedCookies(RwLock<BTreeSet<Box<str>>>);

impl Default for ReservedCookies {
    /// The cookies of flows only.
    fn default() -> Self {
        let own = [FLOW_COOKIE, SECURE_FLOW_COOKIE].map(|start| format!("{start}*").into());
        Self(RwLock::new(BTreeSet::from(own)))
    }
}

impl ReservedCookies {
    /// Reserves a name, or all names that begin with what stands before a `*` at the end.
    pub(crate) fn reserve(&self, name: &str) {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return;
        }
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into());
    }

    /// Whether a `Set-Cookie` field, as browsers read it, sets a cookie of a reserved name.
    pub(crate) fn are_set_by(&self, field: &[u8]) -> bool {
        let name = name(field);
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|reserved| {
                let reserved = reserved.as_bytes();
                match reserved.strip_suffix(b"*") {
                    Some(start) => name
                        .get(..start.len())
                        .is_some_and(|own| own.eq_ignore_ascii_case(start)),
                    None => name.eq_ignore_ascii_case(reserved),
                }
            })
    }
}

/// The name under which a server gets the cookie of a `Set-Cookie` field (RFC 6265bis, section 5.6). A cookie without a name is
/// sent as its value alone, in which servers read a name again: `=sid=x` becomes `Cookie: sid=x`.
fn name(field: &[u8]) -> &[u8] {
    let pair = field.split(|byte| *byte == b';').next().unwrap_or_default();
    let is_before_name = |byte: &u8| *byte == b'=' || byte.is_ascii_whitespace();
    let start = pair.iter().position(|byte| !is_before_name(byte)).unwrap_or(pair.len());
    let rest = pair.get(start..).unwrap_or_default();
    let name = rest.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_recognised_however_a_browser_comes_to_it() {
        let reserved = ReservedCookies::default();
        reserved.reserve("__Host-sid");
        reserved.reserve("bare");
        for (field, is_reserved) in [
            ("__Host-sid=x", true),
            ("__Host-sid=x; Path=/; Secure", true),
            (" \t__Host-sid \t= x", true),
            // Browsers compare the prefix without case, and servers may do so with the rest.
            ("__HOST-SID=x", true),
            ("__Host-sid", true),
            ("__Host-sid; Path=/", true),
            ("=__Host-sid=x", true),
            (" = =\tbare=x", true),
            ("==bare", true),
            ("bare=", true),
            ("__Host-portcullis-flow-abcdefgh=x", true),
            ("__host-Portcullis-Flow-=x", true),
            ("portcullis-flow-1=x", true),
            ("portcullis-flow=x", false),
            ("__Host-sid2=x", false),
            ("x__Host-sid=x", false),
            ("sid=__Host-sid", false),
            ("a=b; __Host-sid=x", false),
            ("a=bare=x", false),
            ("", false),
            ("=", false),
            (";bare=x", false),
        ] {
            assert_eq!(reserved.are_set_by(field.as_bytes()), is_reserved, "{field:?}");
        }
        assert!(!reserved.are_set_by(b"\xff\xfe=x"));
    }
}
