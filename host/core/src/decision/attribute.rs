//! The attributes of a request that a plugin reads, and their values. A decision depends on nothing else of the
//! request: the audit log shows which attributes were read, and requests with equal values get the same decision.

use std::fmt;

/// An attribute of a request that a plugin can read.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// The host and port of the request's target.
    Authority,
    /// The client's IP address.
    ClientAddress,
    /// The client's TLS certificate.
    ClientCertificate,
    /// All values of the cookie of this name.
    Cookie(String),
    /// All values of the header of this name, which is in lower case.
    Header(String),
    /// The method.
    Method,
    /// The result of a Negotiate token at the acceptor of this name. Its value is a word for that result, not the
    /// token.
    Negotiate(String),
    /// The path without the query.
    Path,
    /// The parameters of the query that are granted.
    Query,
    /// The name of the route.
    Route,
    /// The scheme.
    Scheme,
}

impl Attribute {
    /// Whether equal values lead to equal decisions. A Negotiate token is accepted once, so that a decision about one
    /// request says nothing about another.
    pub const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Negotiate(_))
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority => f.write_str("authority"),
            Self::ClientAddress => f.write_str("client-address"),
            Self::ClientCertificate => f.write_str("client-certificate"),
            Self::Cookie(name) => write!(f, "cookie {}", name.escape_debug()),
            Self::Header(name) => write!(f, "header {}", name.escape_debug()),
            Self::Method => f.write_str("method"),
            Self::Negotiate(acceptor) => write!(f, "negotiate {}", acceptor.escape_debug()),
            Self::Path => f.write_str("path"),
            Self::Query => f.write_str("query"),
            Self::Route => f.write_str("route"),
            Self::Scheme => f.write_str("scheme"),
        }
    }
}

/// The value of an attribute: what the plugin got. It may hold secrets.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct AttributeValue {
    count: usize,
    size: usize,
    values: Vec<Vec<u8>>,
}

impl AttributeValue {
    pub(crate) fn new(values: Vec<Vec<u8>>) -> Self {
        Self {
            count: values.len(),
            size: values.iter().map(Vec::len).sum(),
            values,
        }
    }

    /// The number of values. It is 0 if the attribute is absent or not granted.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The length of all values together, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The values. Never log them. They are empty if the decision is reused, because no credential is kept for that.
    pub fn values(&self) -> &[Vec<u8>] {
        &self.values
    }
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeValue({} values, {} bytes)", self.count(), self.size())
    }
}

/// One attribute that a plugin read, with its value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AttributeRead {
    /// The attribute.
    pub attribute: Attribute,
    /// Whether the operator granted it. An attribute without a grant appears absent to the plugin.
    pub granted: bool,
    /// The value that the plugin got.
    pub value: AttributeValue,
}

impl AttributeRead {
    /// The same without the values, which may hold secrets.
    pub(crate) fn without_values(&self) -> Self {
        Self {
            attribute: self.attribute.clone(),
            granted: self.granted,
            value: AttributeValue {
                values: Vec::new(),
                ..self.value
            },
        }
    }

    pub(crate) fn new(attribute: Attribute, granted: bool, value: AttributeValue) -> Self {
        Self {
            attribute,
            granted,
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_decision_tells_how_much_was_read_but_keeps_no_credential() {
        let value = AttributeValue::new(vec![b"secret".to_vec(), b"x".to_vec()]);
        let read = AttributeRead::new(Attribute::Cookie("a".to_owned()), true, value);
        assert_eq!(read.value.values(), [b"secret".to_vec(), b"x".to_vec()]);
        let kept = read.without_values();
        assert!(kept.value.values().is_empty());
        for AttributeRead {
            attribute,
            granted,
            value,
        } in [read, kept]
        {
            assert_eq!(attribute, Attribute::Cookie("a".to_owned()));
            assert!(granted);
            assert_eq!((value.count(), value.size()), (2, 7));
        }
    }

    /// The acceptor takes a Negotiate token once; a decision about it must not admit a client that sends it again.
    #[test]
    fn a_decision_about_a_negotiate_token_is_good_once() {
        for (attribute, is_repeatable) in [
            (Attribute::Header("authorization".to_owned()), true),
            (Attribute::ClientCertificate, true),
            (Attribute::Path, true),
            (Attribute::Negotiate("main".to_owned()), false),
        ] {
            assert_eq!(attribute.is_repeatable(), is_repeatable, "{attribute}");
        }
    }
}
