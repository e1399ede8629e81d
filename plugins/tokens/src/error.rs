//! The reasons why a token is refused, and what the gateway and the client are told. The log says which check failed;
//! the client gets one of a few fixed sentences (RFC 6750, section 3), so that no part of a token is sent back.

use portcullis_sdk::Challenge;
use portcullis_sdk::Refusal;

/// Why a request is refused. The text is for the operator's log: what was found and what was expected. Values of a token
/// are [escaped and shortened](crate::text::quoted), and a text never contains a token.
#[allow(missing_docs, reason = "the text of each error says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no token in any of the configured places.
    #[error("no token")]
    Absent,
    /// The token is signed with an algorithm that isn't accepted, for this reason.
    #[error("the token is signed with {found}, {problem}")]
    Algorithm { found: String, problem: String },
    #[error("the claim {claim} of the token is {found}, and must name {expected} (settings: audiences)")]
    Audience {
        claim: String,
        found: String,
        expected: String,
    },
    #[error("the claim {0} {1}")]
    Claim(String, &'static str),
    /// It expired this many seconds ago.
    #[error("the token has expired: its exp was {0} s ago (settings: leeway)")]
    Expired(u64),
    #[error("the header's {name} is {found}, and must be {expected:?} (settings: required_header)")]
    Header {
        name: String,
        found: String,
        expected: String,
    },
    #[error("no key of {issuer} has the id {kid}{known}")]
    Key {
        issuer: String,
        kid: String,
        /// The ids that are known, as the end of the sentence.
        known: String,
    },
    /// The request is malformed: what it carries can't be a token of any format.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// The token has another format, so another authenticator may know it.
    #[error("the token is not a signed JWT")]
    NotJws,
    /// This claim is this many seconds in the future.
    #[error("the token is not valid yet: its {0} is in {1} s (settings: leeway)")]
    NotYet(&'static str, u64),
    #[error("{0} (settings: claims)")]
    Rule(String),
    #[error("the token lacks the scope {missing}, and has {found} (settings: scopes)")]
    Scope { missing: String, found: String },
    /// `untried` says how many keys were not tried, as the end of the sentence.
    #[error("no key of {issuer} verifies the signature{untried}")]
    Signature { issuer: String, untried: String },
    #[error("the token {0}")]
    Token(&'static str),
    #[error("the type of the token (typ) is {found}, and must be {expected} (settings: typ)")]
    Type { found: String, expected: String },
    #[error("{0}")]
    Unavailable(String),
    #[error("the issuer of the token is {found}, and must be {expected} (settings: issuers){hint}")]
    UnknownIssuer {
        found: String,
        expected: String,
        hint: &'static str,
    },
    /// Like `UnknownIssuer`, where the settings leave such tokens to the next authenticator.
    #[error("the token is for another authenticator")]
    UnknownIssuerPassed,
}

impl TokenError {
    /// Converts this into a refusal. Without a token the challenge has no error code (RFC 6750, section 3.1).
    pub fn refuse(self, challenge: Challenge) -> Refusal {
        // Basic challenges have no error codes (RFC 7617, section 2).
        let is_bearer = challenge.scheme == "Bearer";
        let coded = |challenge: Challenge, code: &str, description: &str| {
            if is_bearer {
                challenge.error(code, description)
            } else {
                challenge
            }
        };
        match self {
            Self::Absent => Refusal::not_mine(challenge),
            Self::NotJws | Self::UnknownIssuerPassed => {
                Refusal::not_mine(coded(challenge, "invalid_token", self.description()))
            }
            // Rules on claims are internal to the operator. Scopes are public: a client can request them from its
            // issuer.
            Self::Rule(_) => Refusal::forbidden(self.to_string(), None),
            Self::Scope { .. } => Refusal::forbidden(
                self.to_string(),
                coded(challenge, "insufficient_scope", self.description()),
            ),
            Self::Unavailable(reason) => Refusal::unavailable(reason),
            Self::Malformed(_) => Refusal::unauthenticated(
                self.to_string(),
                coded(challenge, "invalid_request", self.description()),
            ),
            _ => Refusal::unauthenticated(self.to_string(), coded(challenge, "invalid_token", self.description())),
        }
    }

    /// The description that the client is told.
    const fn description(&self) -> &'static str {
        match self {
            Self::Audience { .. } => "The token is for another audience",
            Self::Expired(_) => "The token has expired",
            Self::Malformed(reason) => reason,
            Self::NotJws => "The token is not a signed JWT",
            Self::NotYet(..) => "The token is not valid yet",
            Self::Key { .. } | Self::Signature { .. } => "The signature of the token does not verify",
            Self::Scope { .. } => "The token lacks a required scope",
            Self::UnknownIssuer { .. } | Self::UnknownIssuerPassed => "The issuer of the token is not known here",
            _ => "The token is not accepted here",
        }
    }
}
