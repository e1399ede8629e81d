//! Kerberos principals as MIT krb5 displays them (`krb5_unparse_name`): components separated by slashes, an at sign,
//! and the realm. A slash, an at sign or a backslash within one of these is escaped with a backslash.

/// A parsed principal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Principal<'a> {
    /// The principal as displayed.
    pub(crate) whole: &'a str,
    parts: Option<Parts<'a>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Parts<'a> {
    name: &'a str,
    realm: &'a str,
}

impl<'a> Principal<'a> {
    /// Splits a principal into its name and its realm, unless anything in it is escaped: then it can only be compared
    /// as a whole. An escaped at sign makes a name from another realm look like a local one
    /// (`alice\@EXAMPLE.ORG@ELSEWHERE`), and no real name needs one.
    pub(crate) fn parse(whole: &'a str) -> Self {
        let parts = whole.split_once('@').filter(|(name, realm)| {
            let plain = !whole.contains('\\') && !whole.chars().any(char::is_control);
            plain && !name.is_empty() && !realm.is_empty() && !realm.contains(['@', '/'])
        });
        Self {
            whole,
            parts: parts.map(|(name, realm)| Parts { name, realm }),
        }
    }

    /// The realm, or `None` if it can't be determined for certain.
    pub(crate) fn realm(&self) -> Option<&'a str> {
        self.parts.map(|parts| parts.realm)
    }

    /// The name without the realm, if it is that of a person. A second component makes it the name of a service
    /// (`HTTP/host`) or of a person in a role (`alice/admin`).
    pub(crate) fn person(&self) -> Option<&'a str> {
        self.parts.map(|parts| parts.name).filter(|name| !name.contains('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_split_completely_or_not_at_all() {
        let cases = [
            ("alice@EXAMPLE.TEST", Some("EXAMPLE.TEST"), Some("alice")),
            ("alice@example.test", Some("example.test"), Some("alice")),
            ("Alice Smith@R", Some("R"), Some("Alice Smith")),
            ("alice/admin@R", Some("R"), None),
            ("HTTP/localhost@R", Some("R"), None),
            (
                "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS",
                Some("WELLKNOWN:ANONYMOUS"),
                None,
            ),
            ("/@R", Some("R"), None),
            ("alice", None, None),
            ("alice@", None, None),
            ("@R", None, None),
            ("", None, None),
            (r"alice\@R@S", None, None),
            (r"alice\/admin@R", None, None),
            (r"alice\\@R", None, None),
            ("alice@R@S", None, None),
            ("alice@R/S", None, None),
            ("alice\n@R", None, None),
        ];
        for (whole, realm, person) in cases {
            let principal = Principal::parse(whole);
            assert_eq!((principal.realm(), principal.person()), (realm, person), "{whole}");
        }
    }
}
