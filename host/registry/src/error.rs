//! Why a component can't be had from a registry, or can't be brought there.

use std::time::Duration;

use http::StatusCode;

use crate::digest::Digest;

/// Why a registry wasn't of use. It is a sentence, and has no secret in it. What a
/// registry said is in it escaped and shortened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server can't be reached, or the connection broke.
    #[error("{host} can't be reached: {why}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the connection said.
        why: String,
    },
    /// The time for all of the exchange, or the time without any progress, is over.
    #[error("{host} didn't answer in time: {what} took longer than {}", seconds(.limit))]
    Timeout {
        /// Host and port.
        host: String,
        /// What took too long.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The registry doesn't have it.
    #[error("{host} doesn't have {what}")]
    NotFound {
        /// Host and port.
        host: String,
        /// What isn't there.
        what: String,
    },
    /// The registry wants credentials, or others.
    #[error("{host} refuses access ({status}): {advice}")]
    Denied {
        /// Host and port.
        host: String,
        /// 401 or 403.
        status: StatusCode,
        /// Which credentials were sent, and where others can be configured.
        advice: String,
    },
    /// The registry answered with another status than the protocol has here.
    #[error("{host} answered {what} with {status}{detail}")]
    Status {
        /// Host and port.
        host: String,
        /// Which request.
        what: String,
        /// The status.
        status: StatusCode,
        /// What the registry said about it.
        detail: String,
    },
    /// The content isn't what its digest promises.
    #[error("{host} sent {what} with the digest {found} instead of {expected}: it was damaged or replaced")]
    DigestMismatch {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: &'static str,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what was sent.
        found: Digest,
    },
    /// Something is larger than it may be.
    #[error("{host} sends {what} of more than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// What is too large.
        what: &'static str,
        /// The maximum size in bytes.
        limit: u64,
    },
    /// The registry redirects to where a client mustn't go.
    #[error("{host} redirects {why}")]
    Redirect {
        /// Host and port.
        host: String,
        /// What is wrong with the redirect.
        why: String,
    },
    /// What the registry sent isn't what the protocol has there.
    #[error("{host} sent {what} that can't be read: {why}")]
    Malformed {
        /// Host and port.
        host: String,
        /// What can't be read.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// What the reference names is no component.
    #[error("it is no WebAssembly component: {0}")]
    NoComponent(String),
    /// The credentials for the registry can't be had.
    #[error("the credentials for {host} can't be had: {why}")]
    Credentials {
        /// Host and port.
        host: String,
        /// Why.
        why: String,
    },
    /// The TLS settings can't be used.
    #[error("TLS can't be used: {0}")]
    Tls(String),
    /// A task of this process failed.
    #[error("failed: {0}")]
    Internal(String),
}

impl Error {
    /// Whether another server that should have the same may do better: this one couldn't be reached or doesn't have it, or
    /// what it sent can't be used.
    pub(crate) fn is_of_one_server(&self) -> bool {
        !matches!(
            self,
            Self::NoComponent(_) | Self::Internal(_) | Self::Tls(_) | Self::Credentials { .. }
        )
    }
}

fn seconds(limit: &Duration) -> String {
    format!("{} s", limit.as_secs_f32())
}

/// Makes what a server said fit for a message: escaped, and shortened.
pub(crate) fn quoted(text: &str) -> String {
    const MAX: usize = 200;
    let short = text.chars().take(MAX).collect::<String>();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{:?}{dots}", short.trim())
}
