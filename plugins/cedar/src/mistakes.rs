//! What is wrong with the texts in the settings, for the operator: a line for each mistake, with the setting and the line of its
//! text.

use std::collections::BTreeSet;

use miette::Diagnostic;
use portcullis_sdk::SettingsError;

/// The most mistakes that are told.
const MAX_TOLD: usize = 100;

/// The mistakes that were found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(BTreeSet<Mistake>);

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Mistake {
    setting: String,
    line: Option<usize>,
    message: String,
}

impl Mistakes {
    /// Notes a mistake in the text of this setting, in a line that is counted from 1.
    pub(crate) fn add(&mut self, setting: &str, line: impl Into<Option<usize>>, message: impl Into<String>) {
        self.0.insert(Mistake {
            setting: setting.to_owned(),
            line: line.into(),
            message: message.into().replace(char::is_control, " "),
        });
    }

    /// Notes what Cedar says of the text of this setting. `otherwise` is the line if Cedar doesn't know it.
    pub(crate) fn add_diagnostic(
        &mut self,
        setting: &str,
        text: &str,
        otherwise: Option<usize>,
        found: &dyn Diagnostic,
    ) {
        let label = found.labels().and_then(|mut labels| labels.next());
        let line = label.as_ref().map(|label| line(text, label.offset())).or(otherwise);
        let mut message = of_any_action(found.to_string());
        let more = [
            label.as_ref().and_then(|label| label.label()).map(str::to_owned),
            found.help().map(|help| help.to_string()),
        ];
        for more in more.into_iter().flatten() {
            message.push_str("; ");
            message.push_str(&more);
        }
        self.add(setting, line, message);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An error if there is any.
    pub(crate) fn into_result(self) -> Result<(), SettingsError> {
        let untold = self.0.len().saturating_sub(MAX_TOLD);
        let told = self.0.iter().take(MAX_TOLD);
        let mut lines = Vec::from_iter(told.map(|mistake| match mistake.line {
            Some(line) => format!("{}: line {line}: {}", mistake.setting, mistake.message),
            None => format!("{}: {}", mistake.setting, mistake.message),
        }));
        if let (true, Some(last)) = (untold > 0, self.0.last()) {
            lines.push(format!("{}: there are {untold} more mistakes", last.setting));
        }
        match lines.as_slice() {
            [] => Ok(()),
            lines => Err(lines.join("\n").into()),
        }
    }
}

/// Cedar says the same of each action that a policy is about.
fn of_any_action(message: String) -> String {
    let Some((before, after)) = message.split_once(" in context for Action::\"") else {
        return message;
    };
    let rest = after.split_once('"').map_or("", |(_, rest)| rest);
    format!("{before} in the context{rest}")
}

/// The line of a text in which this byte is, counted from 1.
pub(crate) fn line(text: &str, offset: usize) -> usize {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// What Cedar says, with all of its causes, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !message.contains(&more) {
            message = format!("{message}: {more}");
        }
        cause = error.source();
    }
    message
}
