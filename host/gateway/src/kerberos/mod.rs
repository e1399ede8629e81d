//! Accepts Kerberos tokens (HTTP Negotiate, RFC 4559) in helper processes that have the service's keys. Tokens are parsed
//! by a C library and come from any client on the network, so the library runs neither in this process nor in the sandbox.

mod embedded;
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

pub use self::embedded::start_negotiators;

/// Accepts tokens for one service. Clones share the helpers.
#[derive(Clone)]
pub(crate) struct Acceptor(Arc<Inner>);

struct Inner {
    name: String,
    channel_bindings: ChannelBindings,
    deadline: Duration,
    pool: Arc<HelperPool>,
}

impl Acceptor {
    /// Starts the first helper, which checks that the keytab can be used.
    ///
    /// # Errors
    ///
    /// Returns a message for the operator if the helper can't accept tokens.
    pub(crate) async fn start(config: &NegotiateConfig) -> Result<Self, String> {
        describe_counter!(TOKENS, "Kerberos tokens, by outcome");
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
                let unbound = || reject("the client's connection has no channel binding");
                Some(token.channel_binding.ok_or_else(unbound)?)
            }
        };
        let question = Question {
            binding: binding.map(|binding| binding.to_vec()),
            token: token.bytes,
        };
        let question = question.to_bytes().ok_or_else(|| reject("the token is too long"))?;
        // The margin leaves the plugin time to use the answer. Waiting for a free helper may take half of the rest, and the
        // exchange the other half, so that a long wait never ends a helper that works.
        let left = token.deadline.saturating_duration_since(Instant::now() + REPLY_MARGIN);
        let answer = pool.ask(&question, left.div_f32(2.0).min(*deadline)).await;
        self.read(answer.map_err(NegotiateError::Unavailable)?)
    }

    fn read(&self, answer: Answer) -> Result<Negotiated, NegotiateError> {
        let required = self.0.channel_bindings == ChannelBindings::Require;
        match answer {
            Answer::Accept {
                channel_bound: false, ..
            } if required => Err(reject("the token isn't bound to its TLS connection")),
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
                "the helper sent an unexpected answer".to_owned(),
            )),
        }
    }
}

fn reject(reason: &str) -> NegotiateError {
    NegotiateError::Reject(reason.to_owned())
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
