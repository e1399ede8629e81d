//! What holds for a login that asks servers. Each of its cases is run while the servers answer as the file says, and then each answer
//! is a bad one once.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use portcullis::Component;
use portcullis::PlayedServers;
use portcullis_loader::cases::LoginAnswer;
use portcullis_loader::cases::LoginCase;
use portcullis_loader::cases::LoginExpectation;
use portcullis_loader::cases::Play;
use portcullis_loader::cases::Session;

use crate::config::CasesFile;

use super::bad_answers;
use super::checks::Check;
use super::checks::MAX_FAILURES;
use super::checks::build;
use super::input;
use super::logins::is_failure;
use super::servers::MAX_QUESTIONS;
use super::servers::Named;
use super::servers::OneBad;
use super::servers::asked_outside;

/// A request that the login sends, and the case in which it does.
struct Question<'f> {
    case: &'f LoginCase,
    request: Request<Bytes>,
    /// Whether the last call of the case is good if every server answers as the file says.
    ends_well: bool,
}

/// The checks. None if the file has no cases of a login, or plays no servers.
pub(super) async fn checks(component: &Component, file: &CasesFile) -> Result<Vec<Check>, Box<dyn Error>> {
    if file.logins.iter().all(|case| played(file, case).is_none()) {
        return Ok(Vec::new());
    }
    let (questions, answered, asked) = well(component, file).await?;
    let has_failed = !answered.failures.is_empty();
    let mut checks = vec![answered, asked];
    if !has_failed {
        checks.push(badly(component, file, &questions).await?);
    }
    Ok(checks)
}

async fn well<'f>(
    component: &Component,
    file: &'f CasesFile,
) -> Result<(Vec<Question<'f>>, Check, Check), Box<dyn Error>> {
    let start = Instant::now();
    let (mut questions, mut failures, mut outside) = (Vec::<Question<'_>>::new(), Vec::new(), BTreeSet::new());
    for case in &file.logins {
        let Some(play) = played(file, case) else { continue };
        let (named, answers) = ask(component, file, case, Arc::<Play>::clone(&play)).await?;
        for answer in &answers {
            if is_failure(answer) {
                failures.push(format!(
                    "case {:?}: {}: {}",
                    case.name, answer.function, answer.sentence
                ));
            }
            if answer.denied > 0 {
                outside.insert(format!(
                    "case {:?}: it sends a request to a server that isn't in grants.http",
                    case.name
                ));
            }
        }
        let ends_well = answers.last().is_some_and(is_good);
        for call in play.take_calls() {
            let request = call.request;
            if !named.covers(request.uri()) {
                outside.insert(format!("case {:?}: it asks {}", case.name, request.uri()));
            }
            let is_new = !questions
                .iter()
                .any(|known| known.request.method() == request.method() && known.request.uri() == request.uri());
            if is_new && questions.len() < MAX_QUESTIONS {
                questions.push(Question {
                    case,
                    request,
                    ends_well,
                });
            }
        }
    }
    let answered = Check {
        name: "every case of the login is answered while the servers that the file plays answer".to_owned(),
        failures: failures.into_iter().take(MAX_FAILURES).collect(),
        note: questions
            .is_empty()
            .then(|| "the login asks no server in any of them".to_owned()),
        elapsed: start.elapsed(),
    };
    let name = "the login asks no server but those that its manifest and its settings name";
    Ok((questions, answered, asked_outside(name, component, outside)))
}

/// Every question gets each bad answer, while all others get those of the file.
async fn badly(component: &Component, file: &CasesFile, questions: &[Question<'_>]) -> Result<Check, Box<dyn Error>> {
    let start = Instant::now();
    let (mut count, mut failures, mut lenient) = (0_u32, Vec::new(), Vec::new());
    'all: for question in questions {
        let (method, uri) = (question.request.method(), question.request.uri());
        let Some(play) = played(file, question.case) else {
            continue;
        };
        let good = play.answer(question.request.clone()).await;
        for bad in bad_answers::all(uri, good.as_ref()) {
            let Some(play) = played(file, question.case) else {
                continue;
            };
            let what = format!("case {:?}: {method} {uri} {}", question.case.name, bad.what);
            let is_useless = bad.is_useless;
            let servers = OneBad::new(play, &question.request, bad);
            let (_, answers) = ask(component, file, question.case, Arc::new(servers)).await?;
            count += 1;
            if let Some(answer) = answers.iter().find(|answer| is_failure(answer)) {
                failures.push(format!("{what}: {}: {}", answer.function, answer.sentence));
            }
            if is_useless && question.ends_well && answers.last().is_some_and(is_good) {
                lenient.push(what);
            }
            if failures.len() >= MAX_FAILURES {
                break 'all;
            }
        }
    }
    let note = lenient.first().map(|first| {
        let count = lenient.len();
        format!("{count} times a case ends well although a server says nothing of use. The first: {first}")
    });
    Ok(Check {
        name: format!("{count} bad answers of servers lead to an answer of the login"),
        failures,
        note,
        elapsed: start.elapsed(),
    })
}

/// The servers of a case. Those of the case come first.
fn played(file: &CasesFile, case: &LoginCase) -> Option<Arc<Play>> {
    Play::of(case.servers.iter().chain(&file.servers))
}

/// Makes all calls of a case. No server but these is asked.
async fn ask(
    component: &Component,
    file: &CasesFile,
    case: &LoginCase,
    servers: Arc<dyn PlayedServers>,
) -> Result<(Named, Vec<LoginAnswer>), Box<dyn Error>> {
    let mut config = file.authenticator.clone();
    config.outbound = config.outbound.clone().servers(servers);
    let authenticator = build(component, &config).await?;
    let named = Named::of(&authenticator, component);
    let mut answers = Vec::new();
    if let Some(login) = authenticator.login() {
        let mut session = Session::new(login.name());
        for call in &case.calls {
            answers.push(session.call(&login, &input::plain(), &call.function).await);
        }
    }
    authenticator.retire();
    Ok((named, answers))
}

fn is_good(answer: &LoginAnswer) -> bool {
    answer.outcome == LoginExpectation::OK
}
