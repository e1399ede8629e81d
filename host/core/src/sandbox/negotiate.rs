//! The question who made a token. It is passed on to the one acceptor that the operator granted; the audit line shows that
//! it was asked and how it ended, and never the token.

use super::State;
use crate::contract::portcullis::auth::negotiate;
use crate::contract::portcullis::auth::negotiate::Accepted;
use crate::contract::portcullis::auth::negotiate::Failure;
use crate::contract::wasi::logging::logging::Level;
use crate::decision::Answer;
use crate::decision::Question;
use crate::negotiate::MAX_NEGOTIATE_TOKEN;
use crate::negotiate::NegotiateError;
use crate::negotiate::NegotiateToken;
use crate::negotiate::Negotiated;

/// Most tokens in one call: an authenticator can mean one, and each costs a cryptographic check elsewhere.
pub(super) const MAX_TOKENS: usize = 4;

/// Longest name of an acceptor that is remembered.
const MAX_NAME: usize = 64;

impl negotiate::Host for State {
    async fn accept(&mut self, acceptor: String, token: Vec<u8>) -> wasmtime::Result<Result<Accepted, Failure>> {
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
            Question::Negotiate(name.to_owned()),
            granted,
            Answer::new(vec![outcome]),
        )?;
        Ok(result)
    }
}

/// How it ended, in a word for the audit line.
const fn word(result: &Result<Accepted, Failure>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(Failure::Denied) => "denied",
        Err(Failure::NeedsAnotherLeg) => "needs-another-leg",
        Err(Failure::Rejected) => "rejected",
        Err(Failure::Unavailable) => "unavailable",
    }
}

impl State {
    async fn negotiate(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Result<Accepted, Failure>> {
        let Some(negotiator) = self.negotiator.clone() else {
            return Ok(self.note(
                "the acceptor that grants.negotiate names isn't there",
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
        self.turn.rest();
        let answer = self.clock.wait(negotiator.accept(token)).await;
        self.turn.resume().await;
        Ok(match answer? {
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

    /// Tells the operator why; the plugin hears a word.
    fn note(&self, why: &str, failure: Failure) -> Result<Accepted, Failure> {
        // The text may quote what a client sent: nothing but visible ASCII goes on as it is.
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

/// In bytes.
const MAX_REASON: usize = 512;
