//! What holds for a plugin that asks other servers. The file plays them: first as it says, and then each answer is a bad one once.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Method;
use http::Request;
use http::Uri;
use portcullis::Component;
use portcullis::GrantKey;
use portcullis::HttpGrant;
use portcullis::PlayedAnswer;
use portcullis::PlayedServers;
use portcullis::Plugin;
use portcullis_loader::cases::Play;

use crate::config::CasesFile;

use super::bad_answers;
use super::bad_answers::BadAnswer;
use super::bad_answers::Kind;
use super::checks::Check;
use super::checks::MAX_FAILURES;
use super::checks::build;
use super::served::Heard;
use super::served::ServedCase;

/// The most questions of which each gets all bad answers.
const MAX_QUESTIONS: usize = 16;

/// A request that the plugin sends, and the case in which it does.
struct Question<'f, C> {
    case: &'f C,
    request: Request<Bytes>,
    /// Whether the case ends well if every server answers as the file says.
    ends_well: bool,
}

/// The checks of these cases of a file. None if no servers are played in them.
pub(super) async fn checks<C: ServedCase>(
    component: &Component,
    file: &CasesFile,
    cases: &[C],
) -> Result<Vec<Check>, Box<dyn Error>> {
    if cases.iter().all(|case| played(file, case).is_none()) {
        return Ok(Vec::new());
    }
    let (questions, answered, asked) = well(component, file, cases).await?;
    let has_failed = !answered.failures.is_empty();
    let mut checks = vec![answered, asked];
    if !has_failed {
        checks.push(badly(component, file, &questions).await?);
    }
    Ok(checks)
}

/// Every case is answered while the servers answer as the file says, and no server is asked that isn't named. Returns the
/// questions, each once.
async fn well<'f, C: ServedCase>(
    component: &Component,
    file: &CasesFile,
    cases: &'f [C],
) -> Result<(Vec<Question<'f, C>>, Check, Check), Box<dyn Error>> {
    let start = Instant::now();
    let (mut questions, mut failures, mut outside) = (Vec::<Question<'_, C>>::new(), Vec::new(), BTreeSet::new());
    for case in cases {
        let Some(play) = played(file, case) else { continue };
        let (named, answers) = ask(component, file, case, Arc::<Play>::clone(&play)).await?;
        for answer in &answers {
            if let Some(failure) = &answer.failure {
                failures.push(format!("case {:?}: {failure}", case.name()));
            }
            if answer.denied > 0 {
                outside.insert(format!(
                    "case {:?}: it sends a request to a server that isn't in grants.http",
                    case.name()
                ));
            }
        }
        let ends_well = answers.last().is_some_and(|answer| answer.is_good);
        for call in play.take_calls() {
            let request = call.request;
            if !named.covers(request.uri()) {
                outside.insert(format!("case {:?}: it asks {}", case.name(), request.uri()));
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
        name: C::WORDS.answered.to_owned(),
        failures: failures.into_iter().take(MAX_FAILURES).collect(),
        note: questions.is_empty().then(|| C::WORDS.asks_none.to_owned()),
        elapsed: start.elapsed(),
    };
    Ok((questions, answered, asked_outside(C::WORDS.asked, component, outside)))
}

/// The check that a plugin names all servers that it asks. `outside` says where it didn't.
fn asked_outside(name: &str, component: &Component, outside: BTreeSet<String>) -> Check {
    let says = component.manifest().is_some_and(|manifest| manifest.grants.is_some());
    Check {
        name: name.to_owned(),
        failures: outside.into_iter().take(MAX_FAILURES).collect(),
        note: (!says).then(|| "it has no manifest that says what it asks for".to_owned()),
        ..Check::default()
    }
}

/// Every question gets each bad answer, while all others get those of the file.
async fn badly<C: ServedCase>(
    component: &Component,
    file: &CasesFile,
    questions: &[Question<'_, C>],
) -> Result<Check, Box<dyn Error>> {
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
            let what = format!("case {:?}: {method} {uri} {}", question.case.name(), bad.what);
            let is_useless = bad.is_useless;
            let servers = OneBad::new(play, &question.request, bad);
            let (_, answers) = ask(component, file, question.case, Arc::new(servers)).await?;
            count += 1;
            if let Some(failure) = answers.iter().find_map(|answer| answer.failure.as_ref()) {
                failures.push(format!("{what}: {failure}"));
            }
            if is_useless && question.ends_well && answers.last().is_some_and(|answer| answer.is_good) {
                lenient.push(what);
            }
            if failures.len() >= MAX_FAILURES {
                break 'all;
            }
        }
    }
    let note = lenient.first().map(|first| {
        let count = lenient.len();
        let lenient = C::WORDS.lenient;
        format!("{count} times {lenient} although a server says nothing of use. The first: {first}")
    });
    Ok(Check {
        name: format!("{count} {}", C::WORDS.bad),
        failures,
        note,
        elapsed: start.elapsed(),
    })
}

/// The servers of a case. Those of the case come first.
fn played(file: &CasesFile, case: &impl ServedCase) -> Option<Arc<Play>> {
    Play::of(case.servers().iter().chain(&file.servers))
}

/// The servers that the manifest and the settings name.
enum Named {
    /// It doesn't say, or names some that can't be known.
    Any,
    These(Vec<HttpGrant>),
}

impl Named {
    fn of(plugin: &Plugin, component: &Component) -> Self {
        let names = plugin.asked_grants().iter();
        let names = names.filter(|asked| asked.key == GrantKey::Http);
        let names = Vec::from_iter(names.map(|asked| asked.name.parse::<HttpGrant>().ok()));
        let says = component.manifest().is_some_and(|manifest| manifest.grants.is_some());
        match names.into_iter().collect::<Option<Vec<_>>>() {
            Some(names) if says => Self::These(names),
            _ => Self::Any,
        }
    }

    fn covers(&self, uri: &Uri) -> bool {
        match self {
            Self::Any => true,
            Self::These(named) => named.iter().any(|named| named.permits(uri)),
        }
    }
}

/// Asks a new plugin everything that a case asks. No server but these is asked.
async fn ask(
    component: &Component,
    file: &CasesFile,
    case: &impl ServedCase,
    servers: Arc<dyn PlayedServers>,
) -> Result<(Named, Vec<Heard>), Box<dyn Error>> {
    let mut config = file.plugin.clone();
    config.outbound = config.outbound.clone().servers(servers);
    let plugin = build(component, &config).await?;
    let answers = case.ask(&plugin).await;
    let named = Named::of(&plugin, component);
    plugin.retire();
    Ok((named, answers))
}

/// Servers that answer one question badly, and all others as the file says.
#[derive(Debug)]
struct OneBad {
    play: Arc<Play>,
    method: Method,
    uri: Uri,
    bad: BadAnswer,
}

impl OneBad {
    /// Servers that answer this request badly.
    fn new(play: Arc<Play>, request: &Request<Bytes>, bad: BadAnswer) -> Self {
        Self {
            play,
            method: request.method().clone(),
            uri: request.uri().clone(),
            bad,
        }
    }
}

impl PlayedServers for OneBad {
    fn plays(&self, server: &Uri) -> bool {
        self.play.plays(server)
    }

    fn answer(&self, request: Request<Bytes>) -> PlayedAnswer<'_> {
        if *request.method() != self.method || *request.uri() != self.uri {
            return self.play.answer(request);
        }
        Box::pin(async move {
            match &self.bad.kind {
                Kind::Answers(response) => Some(response.clone()),
                Kind::HangsUp => None,
                // The plugin no longer waits long before.
                Kind::Hangs => std::future::pending().await,
            }
        })
    }
}
