//! The result of a case as a person reads it: one line, and below it what isn't as expected and why.

use std::fmt;
use std::io;
use std::io::Write;
use std::time::Duration;

use super::answer::Answer;
use super::compare::Difference;
use super::junit::Failure;
use super::junit::TestCase;
use super::servers::Call;

/// The result of a case.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The name of the case.
    pub(super) name: String,
    /// The number of its last request that the plugin was asked about, from 1.
    pub(super) request: u32,
    /// What the plugin decided about that.
    pub(super) answer: Answer,
    /// What it asked servers for that.
    pub(super) calls: Vec<Call>,
    /// How long all calls of the plugin took.
    pub(super) elapsed: Duration,
    /// What isn't as expected.
    pub(super) differences: Vec<Difference>,
}

impl Outcome {
    /// Whether everything is as expected.
    pub(super) fn has_passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// The lines about a case that failed: the differences, and then what helps to understand them. They can hold text of
    /// the plugin.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::from_iter(self.differences.iter().map(ToString::to_string));
        if self.request > 1 {
            lines.insert(0, format!("request {} of the case:", self.request));
        }
        lines.push(format!("the plugin {}", self.answer.sentence));
        let denied = self.answer.reads.iter().filter(|(_, granted)| !granted);
        lines.extend(denied.map(|(attribute, _)| format!("asked {attribute}: not granted")));
        let unknown = self.calls.iter().filter(|call| !call.has_response);
        lines.extend(unknown.map(|call| {
            let (method, url) = (call.request.method(), call.request.uri());
            format!("asked {method} {url}: the file has no response for it, so it was 404")
        }));
        lines.extend(self.answer.warnings.iter().map(|warning| format!("said: {warning}")));
        lines
    }

    /// The result for CI systems.
    pub(super) fn as_test_case(&self) -> TestCase<'_> {
        let message = self.differences.iter().map(ToString::to_string);
        let failure = || Failure {
            message: Vec::from_iter(message).join("; "),
            text: self.lines().join("\n"),
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
        self.lines().into_iter().try_for_each(|text| line(output, "", text))
    }
}

/// Writes one line, beginning with a label. Control characters are replaced, because the text may come from a plugin.
pub(in crate::cli) fn line(output: &mut impl Write, label: &str, text: impl fmt::Display) -> io::Result<()> {
    let text = text.to_string().replace(char::is_control, " ");
    writeln!(output, "{label:8}{text}")
}
