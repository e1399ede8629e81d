//! References to files and environment variables (`file:PATH`, `env:NAME`). A secret must be such a reference, so that it
//! is never part of the configuration itself, and it is never logged.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use http::HeaderValue;
use serde_json::Value;
use serde_json::json;

use crate::config::document::Document;
use crate::config::reader::Item;
use crate::config::rotation::RotatingHeader;
use crate::config::rotation::header_value;
use crate::files::read_text;
use crate::files::require_private;

/// The maximum size of a referenced file, in bytes.
const MAX_TEXT: u64 = 1024 * 1024;

/// A secret, which `Debug` doesn't show.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret itself. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads a secret from the file or variable to which a value refers. It is an error if the value is not a reference, or if
/// other users can access the file.
pub fn secret(item: Item<'_>) -> Option<Secret> {
    if item.describes(schema) {
        return None;
    }
    let place = item.place.clone();
    let resolved = match Reference::parse(&item.text()?) {
        Some(reference) => reference.resolve(place.document(), Privacy::Group).map(Secret::new),
        None => Err(NO_REFERENCE.to_owned()),
    };
    resolved.map_err(|message| place.report(message)).ok()
}

/// The schema of a secret. By `writeOnly`, a schema says that a value isn't to be shown (JSON Schema Validation, draft 7, section
/// 10.3).
fn schema() -> Value {
    let description = "a secret: \"file:PATH\" or \"env:NAME\"";
    json!({ "type": "string", "pattern": "^(file|env):.", "writeOnly": true, "description": description })
}

/// Whether a text says only where something is: `file:PATH` or `env:NAME`.
pub fn is_reference(text: &str) -> bool {
    Reference::parse(text).is_some()
}

/// Replaces a reference, `file:PATH` or `env:NAME`, by its content. Other text is returned unchanged.
pub fn text_or_reference(document: &Document<'_>, text: String) -> Result<String, String> {
    match Reference::parse(&text) {
        Some(reference) => reference.resolve(document, Privacy::Anyone),
        None => Ok(text),
    }
}

/// The file that a text refers to.
pub fn referenced_file(document: &Document<'_>, text: &str) -> Option<PathBuf> {
    match Reference::parse(text) {
        Some(Reference::File(path)) => Some(document.path(path)),
        _ => None,
    }
}

/// The secret in a file that other users can't access, without the line break at its end.
pub fn read_private_file(path: &Path) -> Result<String, String> {
    require_private(path)?;
    read_file(path)
}

fn read_file(path: &Path) -> Result<String, String> {
    let text = read_text(path, MAX_TEXT).map_err(|error| format!("{} {error}", path.display()))?;
    let line = text.strip_suffix('\n');
    let line = line.map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(line.unwrap_or(&text).to_owned())
}

/// A secret in a header.
#[non_exhaustive]
pub enum HeaderSecret {
    /// It is read again when its file changes.
    File(RotatingHeader),
    /// It stays as it is.
    Fixed(HeaderValue),
}

/// Reads a secret for a header: a reference, which may follow a word and a space, as in `"Bearer file:token"`.
pub fn header_secret(item: Item<'_>) -> Option<HeaderSecret> {
    // What may stand there is no secret, only where one is.
    if item.describes(|| json!({ "type": "string", "pattern": "^([^ ]* )?(file|env):." })) {
        return None;
    }
    let place = item.place.clone();
    let text = item.text()?;
    let (prefix, reference) = match text.split_once(' ') {
        Some((word, rest)) => (format!("{word} "), rest),
        None => (String::new(), text.as_str()),
    };
    let read = match Reference::parse(reference) {
        Some(Reference::File(path)) => {
            RotatingHeader::new(place.document().live_file(path), prefix).map(HeaderSecret::File)
        }
        Some(variable) => variable
            .resolve(place.document(), Privacy::Group)
            .and_then(|secret| header_value(&prefix, &secret))
            .map(HeaderSecret::Fixed),
        None => Err(NO_REFERENCE.to_owned()),
    };
    read.map_err(|message| place.report(message)).ok()
}

const NO_REFERENCE: &str = "a secret can't be written in the configuration: use \"file:PATH\" or \"env:NAME\"";

/// A reference to the content of a file or an environment variable.
enum Reference<'a> {
    File(&'a str),
    Variable(&'a str),
}

/// Who may have read access to a referenced file.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Privacy {
    Anyone,
    Group,
}

impl<'a> Reference<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let file = text.strip_prefix("file:").map(Self::File);
        file.or_else(|| text.strip_prefix("env:").map(Self::Variable))
    }

    fn resolve(&self, document: &Document<'_>, privacy: Privacy) -> Result<String, String> {
        match self {
            Self::File(path) => {
                let path = document.file(path);
                match privacy {
                    Privacy::Group => read_private_file(&path),
                    Privacy::Anyone => read_file(&path),
                }
            }
            Self::Variable(name) => {
                let value = document.environment().variable(name);
                value
                    .map(str::to_owned)
                    .ok_or_else(|| format!("the environment variable {name:?} is not set"))
            }
        }
    }
}
