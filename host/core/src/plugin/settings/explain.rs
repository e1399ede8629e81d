//! Words a schema's complaint for the author of a configuration. Values of settings are never repeated, because they
//! may be secrets; the values that a schema lists are not secret.

use std::fmt;
use std::fmt::Write as _;

use serde_json::Value;

use super::SettingsError;
use super::schema::Complaint;
use super::schema::Expected;
use super::schema::Fault;

/// The most bytes of a schema's texts in a message.
const LONGEST: usize = 1024;

/// The mistakes of a complaint, in the operator's words. Each unknown key is a mistake of its own; any other complaint
/// is one mistake.
pub(super) fn explain(complaint: Complaint<'_>) -> Vec<SettingsError> {
    let Complaint { path, fault } = complaint;
    let message = match &fault {
        Fault::Unknown { names, known } => {
            let unknown = |name: &String| SettingsError {
                path: path.iter().chain([name]).cloned().collect(),
                message: "unknown key".to_owned(),
                known: known.iter().map(|name| (*name).to_owned()).collect(),
            };
            return names.iter().map(unknown).collect();
        }
        Fault::Missing(name) => format!("the key {} is missing", Value::from(shortened(name))),
        Fault::Mismatch(pattern) => format!("it doesn't match the pattern {}", Value::from(shortened(pattern))),
        Fault::Empty => "it is empty".to_owned(),
        Fault::Other(why) => why.clone(),
        Fault::Forms(_) | Fault::Listed { .. } | Fault::Type(_) => one_of(&fault),
    };
    vec![SettingsError {
        path,
        message,
        known: Vec::new(),
    }]
}

/// Names the values that are possible here.
fn one_of(fault: &Fault<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut length = 0;
    for expected in fault.expected() {
        // A configuration can't have `null`, so it is not suggested.
        let word = match expected {
            Expected::Type(kind) => kind.in_words().map(str::to_owned),
            Expected::Value(Value::Null) => None,
            Expected::Value(value) => Some(shortened(value)),
        };
        let Some(word) = word.filter(|word| !words.contains(word)) else {
            continue;
        };
        length += word.len();
        words.push(word);
        if length > LONGEST {
            break;
        }
    }
    match words.as_slice() {
        [] => "the value is not of type \"null\"".to_owned(),
        [word] => format!("expected {word}"),
        [words @ .., last] => format!("expected {} or {last}", words.join(", ")),
    }
}

/// The start of a text that may be very long.
fn shortened(text: impl fmt::Display) -> String {
    let mut beginning = Beginning(String::new());
    if write!(beginning, "{text}").is_err() {
        beginning.0.push('…');
    }
    beginning.0
}

/// Takes text until it is full, so that the rest is never formatted.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        match text.get(..text.floor_char_boundary(room)) {
            Some(fitting) if fitting.len() < text.len() => {
                self.0.push_str(fitting);
                Err(fmt::Error)
            }
            _ => {
                self.0.push_str(text);
                Ok(())
            }
        }
    }
}
