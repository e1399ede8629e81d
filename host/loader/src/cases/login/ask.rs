//! Calls a login as a case says, and compares what it answers with what the case expects.

use std::time::Duration;

use portcullis::Arrival;
use portcullis::AuthRequest;
use portcullis::Flow;
use portcullis::Handle;
use portcullis::Login;
use portcullis::LoginCall as Called;
use portcullis::LoginError;
use portcullis::decision::Identity;

use super::Function;
use super::LoginCase;
use super::LoginExpectation;
use super::flow;
use crate::cases::compare::Difference;
use crate::cases::compare::Differences;
use crate::cases::play::Call;
use crate::cases::play::Play;

/// What came of a case.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginOutcome {
    /// The number of its last call, from 1.
    pub call: u32,
    /// What the login answered to that.
    pub answer: LoginAnswer,
    /// What it asked the servers that are played for that.
    pub calls: Vec<Call>,
    /// How long all calls took.
    pub elapsed: Duration,
    /// What isn't as expected. Empty if everything is.
    pub differences: Vec<Difference>,
}

/// The answer of a login, in the form in which a file expects it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoginAnswer {
    /// The name of the function.
    pub function: &'static str,
    /// [`LoginExpectation::OK`], or the word for why there is no answer.
    pub outcome: &'static str,
    /// The answer, or why there is none, in words.
    pub sentence: String,
    /// Where the browser goes. `None` if it goes nowhere.
    pub location: Option<String>,
    /// Who has logged in.
    pub user: Option<Identity>,
    /// After how long the session must be renewed.
    pub renew_after: Option<Duration>,
    /// What the session keeps.
    pub keep: Option<Vec<u8>>,
    /// The handles of the session, or those whose sessions are over.
    pub handles: Vec<String>,
    /// What the login, and the host about it, logged at WARN and above.
    pub warnings: Vec<String>,
    /// How many of its requests to other servers were denied.
    pub denied: u32,
    /// How long the call took.
    pub elapsed: Duration,
}

/// What a gateway keeps between the calls of one browser.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Session {
    /// The flow that was begun last.
    pub flow: Flow,
    /// What `begin` returned for it.
    pub memo: Vec<u8>,
    /// What the session keeps.
    pub keep: Option<Vec<u8>>,
}

impl Session {
    /// That of a browser that hasn't begun to log in.
    pub fn new(login: &str) -> Self {
        Self {
            flow: flow(login),
            memo: Vec::new(),
            keep: None,
        }
    }

    /// Calls a function of the login, and takes over what it returns.
    pub async fn call(&mut self, login: &Login, request: &AuthRequest, function: &Function) -> LoginAnswer {
        let name = function.name();
        match function {
            Function::Begin(flow) => {
                let call = login.begin(request, flow).await;
                self.flow = flow.clone();
                if let Ok(departure) = &call.result {
                    self.memo.clone_from(&departure.memo);
                }
                answer(name, call, |departure| LoginAnswer {
                    sentence: format!("the browser goes to {}", departure.location),
                    location: Some(departure.location),
                    ..LoginAnswer::none(name)
                })
            }
            Function::Finish { memo, parameters } => {
                let memo = memo.as_ref().unwrap_or(&self.memo);
                let call = login.finish(request, &self.flow, memo, parameters.clone()).await;
                self.arrived(call.result.as_ref());
                answer(name, call, |arrival| arrived(name, &arrival))
            }
            Function::Renew { keep } => {
                // A gateway doesn't ask either, and sends the browser.
                let Some(keep) = keep.as_ref().or(self.keep.as_ref()) else {
                    return LoginAnswer {
                        outcome: LoginError::NotMine.label(),
                        sentence: "the session keeps nothing, so that only the browser can tell".to_owned(),
                        ..LoginAnswer::none(name)
                    };
                };
                let call = login.renew(request, keep).await;
                self.arrived(call.result.as_ref());
                answer(name, call, |arrival| arrived(name, &arrival))
            }
            Function::End { keep, return_to } => {
                let keep = keep.as_deref().or(self.keep.as_deref());
                let call = login.end(request, keep, return_to).await;
                answer(name, call, |location| LoginAnswer {
                    sentence: match &location {
                        Some(location) => format!("the browser goes to {location}"),
                        None => "the provider has no place to sign out".to_owned(),
                    },
                    location,
                    ..LoginAnswer::none(name)
                })
            }
            Function::Notice { parameters } => {
                let call = login.notice(request, parameters.clone()).await;
                answer(name, call, |handles| {
                    let handles = texts(&handles);
                    LoginAnswer {
                        sentence: format!("the sessions of {handles:?} are over"),
                        handles,
                        ..LoginAnswer::none(name)
                    }
                })
            }
        }
    }

    fn arrived(&mut self, result: Result<&Arrival, &LoginError>) {
        if let Ok(arrival) = result {
            self.keep = arrival.keep().map(<[u8]>::to_vec);
        }
    }
}

/// Makes the calls of a case in order, until one isn't answered as expected. `play` are the servers to which the login's requests
/// go.
pub async fn ask_login(login: &Login, case: &LoginCase, play: Option<&Play>) -> LoginOutcome {
    let request = crate::cases::request::plain();
    let mut session = Session::new(login.name());
    let mut outcome = LoginOutcome {
        call: 0,
        answer: LoginAnswer::none(""),
        calls: Vec::new(),
        elapsed: Duration::ZERO,
        differences: Vec::new(),
    };
    for step in &case.calls {
        let answer = session.call(login, &request, &step.function).await;
        let calls = play.map(Play::take_calls).unwrap_or_default();
        outcome = LoginOutcome {
            call: outcome.call + 1,
            elapsed: outcome.elapsed + answer.elapsed,
            differences: differences(&step.expect, &answer, &calls),
            answer,
            calls,
        };
        if !outcome.differences.is_empty() {
            break;
        }
    }
    outcome
}

impl LoginAnswer {
    fn none(function: &'static str) -> Self {
        Self {
            function,
            outcome: LoginExpectation::OK,
            sentence: String::new(),
            location: None,
            user: None,
            renew_after: None,
            keep: None,
            handles: Vec::new(),
            warnings: Vec::new(),
            denied: 0,
            elapsed: Duration::ZERO,
        }
    }
}

fn answer<T>(name: &'static str, call: Called<T>, ok: impl FnOnce(T) -> LoginAnswer) -> LoginAnswer {
    let (warnings, denied, elapsed) = (call.warnings, call.denied, call.elapsed);
    let answer = match call.result {
        Ok(answer) => ok(answer),
        Err(why) => LoginAnswer {
            outcome: why.label(),
            sentence: why.to_string(),
            ..LoginAnswer::none(name)
        },
    };
    LoginAnswer {
        warnings,
        denied,
        elapsed,
        ..answer
    }
}

fn arrived(name: &'static str, arrival: &Arrival) -> LoginAnswer {
    let after = humantime::format_duration(arrival.renew_after());
    let kept = arrival.keep().map_or(0, <[u8]>::len);
    LoginAnswer {
        sentence: format!(
            "user {:?} has a session that is renewed after {after}, keeps {kept} bytes, and has the handles {:?}",
            arrival.identity().name(),
            texts(arrival.handles())
        ),
        user: Some(arrival.identity().clone()),
        renew_after: Some(arrival.renew_after()),
        keep: arrival.keep().map(<[u8]>::to_vec),
        handles: texts(arrival.handles()),
        ..LoginAnswer::none(name)
    }
}

fn texts(handles: &[Handle]) -> Vec<String> {
    handles.iter().map(|handle| handle.as_str().to_owned()).collect()
}

/// Everything that isn't as expected, in the order of the keys in the documentation.
fn differences(expect: &LoginExpectation, answer: &LoginAnswer, calls: &[Call]) -> Vec<Difference> {
    let mut found = Differences::default();
    if let Some(outcome) = expect.outcome {
        found.compare("outcome", outcome.to_owned(), answer.outcome.to_owned());
    }
    if let Some(part) = &expect.why
        && (answer.outcome == LoginExpectation::OK || !answer.sentence.contains(part))
    {
        let given = match answer.outcome {
            LoginExpectation::OK => "no refusal".to_owned(),
            _ => format!("{:?}", answer.sentence),
        };
        found.add("why", format!("{part:?}"), given);
    }
    let (place, query) = match &answer.location {
        Some(location) => location.split_once('?').unwrap_or((location, "")),
        None => ("", ""),
    };
    if let Some(location) = &expect.location {
        found.compare("location", format!("{location:?}"), format!("{place:?}"));
    }
    for (name, values) in &expect.query {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let given = Vec::from_iter(pairs.filter(|(known, _)| known == name).map(|(_, value)| value));
        found.compare(&format!("query {name:?}"), format!("{values:?}"), format!("{given:?}"));
    }
    found.compare_user(&expect.user, answer.user.as_ref(), None);
    if let Some(after) = expect.renew_after {
        let words = |after: Duration| humantime::format_duration(after).to_string();
        let given = answer.renew_after.map_or_else(|| "no session".to_owned(), words);
        found.compare("renew_after", words(after), given);
    }
    if let Some(keep) = &expect.keep {
        let given = String::from_utf8_lossy(answer.keep.as_deref().unwrap_or_default());
        found.compare("keep", format!("{keep:?}"), format!("{given:?}"));
    }
    if let Some(handles) = &expect.handles {
        found.compare("handles", format!("{handles:?}"), format!("{:?}", answer.handles));
    }
    if let Some(expected) = &expect.user.calls {
        found.compare_calls(expected, calls);
    }
    found.into_list()
}
