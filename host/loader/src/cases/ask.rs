//! Asks a plugin about the requests of a case, and compares what it decides with what the case expects.

use std::sync::Arc;
use std::time::Duration;

use portcullis::AuthRequest;
use portcullis::Authorizers;
use portcullis::Chain;

use crate::asked::AskedPlugin;
use crate::cases::Case;
use crate::cases::answer::Answer;
use crate::cases::compare::Difference;
use crate::cases::compare::differences;
use crate::cases::expectation::Expectation;
use crate::cases::play::Call;
use crate::cases::play::Play;
use crate::cases::user::CaseUser;

/// What came of a case.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The number of its last request that the plugin was asked about, from 1.
    pub request: u32,
    /// What the plugin decided about that.
    pub answer: Answer,
    /// What it asked the servers that are played for that.
    pub calls: Vec<Call>,
    /// How long all calls of the plugin took.
    pub elapsed: Duration,
    /// What isn't as expected. Empty if everything is.
    pub differences: Vec<Difference>,
}

/// Asks about the requests of a case in order, until one isn't answered as expected. `play` are the servers to which the
/// plugin's requests go.
pub async fn ask(plugin: &AskedPlugin, case: &Case, play: Option<&Play>) -> Outcome {
    let ask = async |request: &Arc<AuthRequest>, user: Option<&CaseUser>, expect: &Expectation| {
        let answer = answer(plugin, request, user).await;
        let calls = play.map(Play::take_calls).unwrap_or_default();
        Outcome {
            request: 1,
            elapsed: answer.elapsed,
            differences: differences(expect, &answer, &calls),
            answer,
            calls,
        }
    };
    let mut outcome = ask(&case.request, case.user.as_ref(), &case.expect).await;
    for then in &case.then {
        if !outcome.differences.is_empty() {
            break;
        }
        let next = ask(&then.request, then.user.as_ref(), &then.expect).await;
        outcome = Outcome {
            request: outcome.request + 1,
            elapsed: outcome.elapsed + next.elapsed,
            ..next
        };
    }
    outcome
}

/// Asks a plugin about a request. `user` is whose it is said to be, which only an authorizer is told.
pub async fn answer(plugin: &AskedPlugin, request: &Arc<AuthRequest>, user: Option<&CaseUser>) -> Answer {
    match plugin {
        AskedPlugin::Authenticator(authenticator) => {
            let chain = Chain::new([authenticator.clone()]);
            Answer::of(chain.decide(request).await)
        }
        AskedPlugin::Authorizer(authorizer) => {
            let user = user.map(|user| (user.identity.clone(), user.authenticator.as_str()));
            let authorizers = Authorizers::new([authorizer.clone()]);
            Answer::of_authorizer(authorizers.decide_as(request, user).await)
        }
    }
}
