//! The questions that a plugin asks about a request, and the answers that it got. They say what a decision rests on:
//! an audit line shows the questions, and two requests with the same answers get the same decision.

use std::fmt;

/// Something that a plugin can ask about a request.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Question {
    /// The host and port that the client asked for.
    Authority,
    /// The client's IP address.
    ClientAddress,
    /// The client's TLS certificate.
    ClientCertificate,
    /// Every value of the cookie of this name.
    Cookie(String),
    /// Every value of the header of this name, in lower case.
    Header(String),
    /// The method.
    Method,
    /// Who made a token, of the acceptor of this name. It is answered with a word on how that ended.
    Negotiate(String),
    /// The path, without the query.
    Path,
    /// The granted parameters of the query.
    Query,
    /// The scheme.
    Scheme,
}

impl Question {
    /// Whether the same answer to it means the same decision. A token of Negotiate holds once, so that a decision which
    /// rests on one is no other request's.
    pub const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Negotiate(_))
    }
}

impl fmt::Display for Question {
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
            Self::Scheme => f.write_str("scheme"),
        }
    }
}

/// What a plugin was told: the values, which may be secrets.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Answer(Vec<Vec<u8>>);

impl Answer {
    pub(crate) fn new(values: Vec<Vec<u8>>) -> Self {
        Self(values)
    }

    /// How many values there were; 0: the thing is absent or not granted.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How long all values are together, in bytes.
    pub fn size(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The values themselves. Never log them.
    pub fn values(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} values, {} bytes)", self.count(), self.size())
    }
}

/// One question with its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Asked {
    /// What was asked.
    pub question: Question,
    /// Whether the operator granted it; what is not granted is answered as absent.
    pub granted: bool,
    /// What was answered.
    pub answer: Answer,
}

impl Asked {
    pub(crate) fn new(question: Question, granted: bool, answer: Answer) -> Self {
        Self {
            question,
            granted,
            answer,
        }
    }
}
