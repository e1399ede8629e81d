//! The result of a case as a person reads it: one line, and below it what isn't as expected and why.

use std::fmt;
use std::io;
use std::io::Write;

use std::time::Duration;

use portcullis_loader::cases::Call;
use portcullis_loader::cases::Difference;
use portcullis_loader::cases::LoginOutcome;
use portcullis_loader::cases::Outcome;

use super::junit::Failure;
use super::junit::TestCase;

/// What is said of a case.
#[derive(Debug)]
pub(super) struct Report {
    /// The name of the case.
    name: String,
    /// Where in the case it ended, if that isn't its only part.
    place: Option<String>,
    /// What isn't as expected.
    differences: Vec<String>,
    /// What helps to understand it.
    more: Vec<String>,
    elapsed: Duration,
}

impl Report {
    /// The report on a case about requests.
    pub(super) fn of(name: &str, outcome: &Outcome) -> Self {
        let answer = &outcome.answer;
        let mut more = vec![format!("the plugin {}", answer.sentence)];
        let denied = answer.reads.iter().filter(|(_, granted)| !granted);
        more.extend(denied.map(|(attribute, _)| format!("asked {attribute}: not granted")));
        more.extend(unanswered(&outcome.calls));
        more.extend(said(&answer.warnings));
        Self {
            name: name.to_owned(),
            place: (outcome.request > 1).then(|| format!("request {} of the case:", outcome.request)),
            differences: texts(&outcome.differences),
            more,
            elapsed: outcome.elapsed,
        }
    }

    /// The report on a case of a login.
    pub(super) fn of_login(name: &str, outcome: &LoginOutcome) -> Self {
        let answer = &outcome.answer;
        let mut more = vec![answer.sentence.clone()];
        if answer.denied > 0 {
            more.push(format!("{} requests to servers that aren't granted", answer.denied));
        }
        more.extend(unanswered(&outcome.calls));
        more.extend(said(&answer.warnings));
        Self {
            name: name.to_owned(),
            place: Some(format!("call {} of the case, {}:", outcome.call, answer.function)),
            differences: texts(&outcome.differences),
            more,
            elapsed: outcome.elapsed,
        }
    }

    /// Whether everything is as expected.
    pub(super) fn has_passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// The lines about a case that failed: the differences, and then what helps to understand them. They can hold text of
    /// the plugin.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.place.iter().chain(&self.differences).chain(&self.more);
        lines.map(String::as_str)
    }

    /// The result for CI systems.
    pub(super) fn as_test_case(&self) -> TestCase<'_> {
        let failure = || Failure {
            message: self.differences.join("; "),
            text: Vec::from_iter(self.lines()).join("\n"),
        };
        TestCase {
            name: &self.name,
            elapsed: self.elapsed,
            failure: (!self.has_passed()).then(failure),
        }
    }

    /// Writes the lines for a person.
    pub(super) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        if self.has_passed() {
            return line(output, "ok", &self.name);
        }
        line(output, "FAILED", &self.name)?;
        self.lines().try_for_each(|text| line(output, "", text))
    }
}

fn texts(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

/// The requests that no response of the file is for.
fn unanswered(calls: &[Call]) -> impl Iterator<Item = String> {
    let unknown = calls.iter().filter(|call| !call.has_response);
    unknown.map(|call| {
        let (method, url) = (call.request.method(), call.request.uri());
        format!("asked {method} {url}: the file has no response for it, so it was 404")
    })
}

fn said(warnings: &[String]) -> impl Iterator<Item = String> {
    warnings.iter().map(|warning| format!("said: {warning}"))
}

/// Writes one line, beginning with a label. Control characters are replaced, because the text may come from a plugin.
pub(in crate::cli) fn line(output: &mut impl Write, label: &str, text: impl fmt::Display) -> io::Result<()> {
    let text = text.to_string().replace(char::is_control, " ");
    writeln!(output, "{label:8}{text}")
}
