//! Secrets, and where they come from: a file, or the environment. They never stand in the configuration itself, and
//! never in a log.

use std::fmt;

use crate::config::document::Document;
use crate::config::reader::Item;
use crate::files::read_text;
use crate::files::require_private;

/// Largest secret, and largest text that a setting takes from a file, in bytes.
const MAX_TEXT: u64 = 1024 * 1024;

/// A secret text. `Debug` doesn't show it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Never log it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads a secret from where a value refers to. The secret itself may not stand there, and its file may be read by
/// its owner and its group only.
pub(super) fn secret(item: Item<'_>) -> Option<Secret> {
    let place = item.place.clone();
    let resolved = match Reference::parse(&item.text()?) {
        Some(reference) => reference.resolve(place.document(), Privacy::Group).map(Secret::new),
        None => Err("a secret doesn't stand in the configuration: write \"file:PATH\" or \"env:NAME\"".to_owned()),
    };
    resolved.map_err(|message| place.report(message)).ok()
}

/// A text that may stand for what a file or a variable holds: `file:PATH`, `env:NAME`, or itself.
pub(super) fn text_or_reference(document: &Document<'_>, text: String) -> Result<String, String> {
    match Reference::parse(&text) {
        Some(reference) => reference.resolve(document, Privacy::Anyone),
        None => Ok(text),
    }
}

/// Where a text comes from.
enum Reference<'a> {
    File(&'a str),
    Variable(&'a str),
}

/// Who may read a file that a text comes from.
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
                let path = document.path(path);
                if privacy == Privacy::Group {
                    require_private(&path)?;
                }
                let text = read_text(&path, MAX_TEXT).map_err(|error| format!("{} {error}", path.display()))?;
                Ok(text
                    .strip_suffix('\n')
                    .map(|text| text.strip_suffix('\r').unwrap_or(text))
                    .unwrap_or(&text)
                    .to_owned())
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
