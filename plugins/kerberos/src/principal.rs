//! Kerberos principals as MIT krb5 displays them (`krb5_unparse_name`): components with slashes between them, an at sign,
//! the realm. Inside of these a slash, an at sign or a backslash has a backslash before it.

/// A principal, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Principal<'a> {
    /// As it is displayed.
    pub(crate) whole: &'a str,
    parts: Option<Parts<'a>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Parts<'a> {
    name: &'a str,
    realm: &'a str,
}

impl<'a> Principal<'a> {
    /// Takes a principal apart, unless anything in it is escaped: then it can only be compared as a whole. An escaped at
    /// sign makes somebody of a name of another realm (`alice\@EXAMPLE.ORG@ELSEWHERE`), and no real name needs one.
    pub(crate) fn parse(whole: &'a str) -> Self {
        let parts = whole.split_once('@').filter(|(name, realm)| {
            let sound = !whole.contains('\\') && !whole.chars().any(char::is_control);
            sound && !name.is_empty() && !realm.is_empty() && !realm.contains(['@', '/'])
        });
        Self {
            whole,
            parts: parts.map(|(name, realm)| Parts { name, realm }),
        }
    }

    /// The realm; none: it can't be told for sure.
    pub(crate) fn realm(&self) -> Option<&'a str> {
        self.parts.map(|parts| parts.realm)
    }

    /// The name without the realm, if it is one of a person: a second component makes it a service's (`HTTP/host`), or one
    /// of somebody in a certain role (`alice/admin`).
    pub(crate) fn person(&self) -> Option<&'a str> {
        self.parts.map(|parts| parts.name).filter(|name| !name.contains('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_taken_apart_or_not_at_all() {
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
