//! The host function for Negotiate tokens. A token is passed to the acceptor that the operator granted; the audit log
//! shows the result but not the token.

use super::HostState;
use crate::contract::portcullis::auth::negotiate;
use crate::contract::portcullis::auth::negotiate::Accepted;
use crate::contract::portcullis::auth::negotiate::Failure;
use crate::contract::wasi::logging::logging::Level;
use crate::decision::Attribute;
use crate::decision::AttributeValue;
use crate::negotiate::MAX_NEGOTIATE_TOKEN;
use crate::negotiate::NegotiateError;
use crate::negotiate::NegotiateToken;
use crate::negotiate::Negotiated;

/// The most tokens of one call. An authenticator needs one, and each costs the acceptor a cryptographic check.
pub(super) const MAX_TOKENS: usize = 4;

/// The longest name of an acceptor that is remembered, in bytes.
const MAX_NAME: usize = 64;

impl negotiate::Host for HostState {
    async fn accept(&mut self, acceptor: String, token: Vec<u8>) -> wasmtime::Result<Result<Accepted, Failure>> {
        self.used("negotiate");
        let granted = self.grants.negotiate.as_ref() == Some(&acceptor);
        let result = if granted {
            self.negotiate(token).await?
        } else {
            Err(Failure::Denied)
        };
        let name = acceptor
            .get(..acceptor.floor_char_boundary(MAX_NAME))
            .unwrap_or_default();
        let outcome = word(&result).as_bytes().to_vec();
        self.remember(
            Attribute::Negotiate(name.to_owned()),
            granted,
            AttributeValue::new(vec![outcome]),
        )?;
        Ok(result)
    }
}

/// The result in a word for the audit log.
const fn word(result: &Result<Accepted, Failure>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(Failure::Denied) => "denied",
        Err(Failure::NeedsAnotherLeg) => "needs-another-leg",
        Err(Failure::Rejected) => "rejected",
        Err(Failure::Unavailable) => "unavailable",
    }
}

impl HostState {
    async fn negotiate(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Result<Accepted, Failure>> {
        let Some(negotiator) = self.negotiator.clone() else {
            return Ok(self.note(
                "the acceptor that grants.negotiate names doesn't exist",
                Failure::Unavailable,
            ));
        };
        if bytes.is_empty() || bytes.len() > MAX_NEGOTIATE_TOKEN {
            return Ok(self.note("the token is empty or longer than 64 KiB", Failure::Rejected));
        }
        match self.tokens_left.checked_sub(1) {
            Some(left) => self.tokens_left = left,
            None => return Ok(self.note("more tokens than 4 in one call", Failure::Unavailable)),
        }
        let token = NegotiateToken {
            bytes,
            channel_binding: self
                .request
                .as_ref()
                .and_then(|request| request.channel_binding.clone()),
            deadline: self.clock.deadline(),
        };
        Ok(match self.clock.wait(&self.permit, negotiator.accept(token)).await? {
            Ok(Negotiated {
                principal,
                reply,
                expires_in,
                channel_bound,
            }) => Ok(Accepted {
                principal,
                reply,
                expires_in,
                channel_bound,
            }),
            Err(error) => {
                let failure = match error {
                    NegotiateError::NeedsAnotherLeg => Failure::NeedsAnotherLeg,
                    NegotiateError::Reject(_) => Failure::Rejected,
                    NegotiateError::Unavailable(_) => Failure::Unavailable,
                };
                self.note(&error.to_string(), failure)
            }
        })
    }

    /// Logs the reason for the operator and returns the failure for the plugin.
    fn note(&self, why: &str, failure: Failure) -> Result<Accepted, Failure> {
        // The text may quote the client, so everything but visible ASCII is replaced.
        let mut why: String = why.chars().map(visible).collect();
        why.truncate(MAX_REASON);
        let level = match failure {
            Failure::Unavailable => Level::Warn,
            Failure::Denied | Failure::NeedsAnotherLeg | Failure::Rejected => Level::Info,
        };
        self.log.write(level, "negotiate", &why);
        Err(failure)
    }
}

const fn visible(c: char) -> char {
    if matches!(c, ' '..='~') { c } else { '?' }
}

/// The longest reason that is logged, in bytes.
const MAX_REASON: usize = 512;
