//! Kerberos tokens (HTTP Negotiate, RFC 4559), accepted by helper processes with the service's keys. What parses them is a
//! C library that anybody on the network can talk to, so it runs neither here nor in the sandbox.

mod launch;
mod pool;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use metrics::counter;
use metrics::describe_counter;
use portcullis::NegotiateError;
use portcullis::NegotiateFuture;
use portcullis::NegotiateToken;
use portcullis::Negotiated;
use portcullis::Negotiator;
use portcullis_negotiate_frame::Answer;
use portcullis_negotiate_frame::Question;

use self::launch::Launch;
use self::pool::HelperPool;
use crate::config::ChannelBindings;
use crate::config::NegotiateConfig;

/// Accepts tokens for one service. A clone is the same.
#[derive(Clone)]
pub(crate) struct Acceptor(Arc<Inner>);

struct Inner {
    name: String,
    channel_bindings: ChannelBindings,
    deadline: Duration,
    pool: Arc<HelperPool>,
}

impl Acceptor {
    /// Starts a helper, to see whether there are keys.
    ///
    /// # Errors
    ///
    /// Why no token could be accepted, for the operator.
    pub(crate) async fn start(config: &NegotiateConfig) -> Result<Self, String> {
        describe_counter!(TOKENS, "Kerberos tokens, by what became of them");
        let pool = HelperPool::new(Launch::prepare(config)?, config.workers);
        pool.start_first().await?;
        Ok(Self(Arc::new(Inner {
            name: config.name.clone(),
            channel_bindings: config.channel_bindings,
            deadline: config.deadline,
            pool,
        })))
    }

    async fn ask(&self, token: NegotiateToken) -> Result<Negotiated, NegotiateError> {
        let Inner {
            channel_bindings,
            deadline,
            pool,
            ..
        } = &*self.0;
        let binding = match channel_bindings {
            ChannelBindings::IfSent => token.channel_binding,
            ChannelBindings::Off => None,
            ChannelBindings::Require => {
                let unbound = || reject("the client's connection has nothing that a token could be bound to");
                Some(token.channel_binding.ok_or_else(unbound)?)
            }
        };
        let question = Question {
            binding: binding.map(|binding| binding.to_vec()),
            token: token.bytes,
        };
        let question = question.to_bytes().ok_or_else(|| reject("the token is too long"))?;
        // The plugin needs a moment to make an answer of it. A token waits for its turn as long as it may take then, so
        // that no helper that works is ended because of those who waited before.
        let left = token.deadline.saturating_duration_since(Instant::now() + REPLY_MARGIN);
        let answer = pool.ask(&question, left.div_f32(2.0).min(*deadline)).await;
        self.read(answer.map_err(NegotiateError::Unavailable)?)
    }

    fn read(&self, answer: Answer) -> Result<Negotiated, NegotiateError> {
        let required = self.0.channel_bindings == ChannelBindings::Require;
        match answer {
            Answer::Accept {
                channel_bound: false, ..
            } if required => Err(reject("the token is not bound to its TLS connection")),
            Answer::Accept {
                principal,
                expires_in,
                channel_bound,
                reply,
            } => Ok(Negotiated {
                principal,
                reply,
                expires_in,
                channel_bound,
            }),
            Answer::AnotherLeg => Err(NegotiateError::NeedsAnotherLeg),
            Answer::Reject(why) => Err(NegotiateError::Reject(why)),
            Answer::Unusable(why) => Err(NegotiateError::Unavailable(why)),
            Answer::Ready => Err(NegotiateError::Unavailable(
                "the helper answered something else".to_owned(),
            )),
        }
    }
}

fn reject(why: &str) -> NegotiateError {
    NegotiateError::Reject(why.to_owned())
}

impl Negotiator for Acceptor {
    fn accept(&self, token: NegotiateToken) -> NegotiateFuture<'_> {
        Box::pin(async {
            let answer = self.ask(token).await;
            let outcome = match &answer {
                Ok(_) => "accepted",
                Err(NegotiateError::NeedsAnotherLeg | NegotiateError::Reject(_)) => "rejected",
                Err(NegotiateError::Unavailable(_)) => "unavailable",
            };
            counter!(TOKENS, "acceptor" => self.0.name.clone(), "outcome" => outcome).increment(1);
            answer
        })
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

const TOKENS: &str = "portcullis_negotiate_tokens_total";

const REPLY_MARGIN: Duration = Duration::from_millis(50);
