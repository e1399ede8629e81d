//! The result of a case as a person reads it: one line, and below it what isn't as expected and why.

use std::fmt;
use std::io;
use std::io::Write;

use portcullis_loader::cases::Outcome;

use super::junit::Failure;
use super::junit::TestCase;

/// What is said of a case.
#[derive(Debug)]
pub(super) struct Report {
    /// The name of the case.
    pub(super) name: String,
    /// What came of it.
    pub(super) outcome: Outcome,
}

impl Report {
    /// Whether everything is as expected.
    pub(super) fn has_passed(&self) -> bool {
        self.outcome.differences.is_empty()
    }

    /// The lines about a case that failed: the differences, and then what helps to understand them. They can hold text of
    /// the plugin.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::from_iter(self.outcome.differences.iter().map(ToString::to_string));
        if self.outcome.request > 1 {
            lines.insert(0, format!("request {} of the case:", self.outcome.request));
        }
        lines.push(format!("the plugin {}", self.outcome.answer.sentence));
        let denied = self.outcome.answer.reads.iter().filter(|(_, granted)| !granted);
        lines.extend(denied.map(|(attribute, _)| format!("asked {attribute}: not granted")));
        let unknown = self.outcome.calls.iter().filter(|call| !call.has_response);
        lines.extend(unknown.map(|call| {
            let (method, url) = (call.request.method(), call.request.uri());
            format!("asked {method} {url}: the file has no response for it, so it was 404")
        }));
        lines.extend(
            self.outcome
                .answer
                .warnings
                .iter()
                .map(|warning| format!("said: {warning}")),
        );
        lines
    }

    /// The result for CI systems.
    pub(super) fn as_test_case(&self) -> TestCase<'_> {
        let message = self.outcome.differences.iter().map(ToString::to_string);
        let failure = || Failure {
            message: Vec::from_iter(message).join("; "),
            text: self.lines().join("\n"),
        };
        TestCase {
            name: &self.name,
            elapsed: self.outcome.elapsed,
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
