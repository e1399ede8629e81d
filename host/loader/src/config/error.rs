//! Errors in a configuration and their locations. An error names the file, the line and the full key, so that the operator
//! finds the mistake at once.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A location in a configuration.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Location {
    file: Arc<str>,
    line: Option<usize>,
    key: String,
}

impl Location {
    /// The location of a whole file.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Self {
            file: file.into(),
            line: None,
            key: String::new(),
        }
    }

    /// Whether this is the location of that whole file.
    pub fn is_file(&self, path: &Path) -> bool {
        self.key.is_empty() && Path::new(&*self.file) == path
    }

    /// The same location with this line, counted from 1. `None` if there are no lines.
    pub fn line(mut self, line: impl Into<Option<usize>>) -> Self {
        self.line = line.into();
        self
    }

    /// The same keys in another file, at this line.
    pub(crate) fn in_file(self, file: &Arc<str>, line: Option<usize>) -> Self {
        let file = Arc::clone(file);
        Self { file, line, ..self }
    }

    /// The file or variable and the line, without the key.
    pub fn source(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.to_string(),
        }
    }

    /// The full key, such as `routes[0].path`. Empty for a whole file.
    pub fn full_key(&self) -> &str {
        &self.key
    }

    /// The location of a key below this one.
    pub fn key(&self, key: &str) -> Self {
        let bare = !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        let key = if bare { key.to_owned() } else { format!("{key:?}") };
        let key = if self.key.is_empty() {
            key
        } else {
            format!("{}.{key}", self.key)
        };
        Self { key, ..self.clone() }
    }

    /// The location of an item of the list at this location, counted from 0.
    pub fn index(&self, index: usize) -> Self {
        Self {
            key: format!("{}[{index}]", self.key),
            ..self.clone()
        }
    }

    /// Makes an error at this location. A part of the message may come from a plugin, so the message is limited to one line
    /// of bounded length.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        let mut message = message.into().replace(char::is_control, " ");
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        ConfigError {
            location: self.clone(),
            message,
        }
    }
}

/// The maximum length of a message, in bytes.
const MAX_MESSAGE: usize = 2048;

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source())?;
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

/// One mistake, such as `portcullis.toml:12: server.lisen: unknown key; did you mean "listen"?`
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConfigError {
    location: Location,
    message: String,
}

impl ConfigError {
    /// The error without the file, for a program whose configuration isn't one. `place` is where the keys are, such as
    /// `WasmAuthenticator` for `WasmAuthenticator.settings.usr: unknown key`, or empty.
    pub fn below(&self, place: &str) -> String {
        let Self { location, message } = self;
        if location.key.is_empty() && location.line.is_some() {
            // It is in a file to which the configuration refers.
            return self.to_string();
        }
        match (place, location.key.as_str()) {
            ("", "") => message.clone(),
            ("", only) | (only, "") => format!("{only}: {message}"),
            (place, key) => format!("{place}.{key}: {message}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// All mistakes of a configuration, sorted by file and line.
#[derive(Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Sorts the mistakes and removes duplicates.
    pub fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort();
        errors.dedup();
        Self(errors)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Makes the message for an unknown name. It suggests the nearest known name, or lists all of them.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known = Vec::from_iter(known);
    if let Some(nearest) = nearest(name, &known) {
        return format!("unknown {what}; did you mean {nearest:?}?");
    }
    if known.is_empty() {
        return format!("unknown {what}; there are none");
    }
    format!("unknown {what}; expected one of {}", known.join(", "))
}

/// Returns the nearest known name, if at most a third of its letters differ, ignoring case.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| strsim::osa_distance(&name.to_lowercase(), &known.to_lowercase());
    let nearest = known.iter().min_by_key(|known| distance(known))?;
    (distance(nearest) <= (nearest.chars().count() / 3).max(1)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_the_file_the_line_and_the_full_key() {
        let file = Location::file("p.toml");
        assert_eq!(file.error("is empty").to_string(), "p.toml: is empty");
        let key = file.clone().line(3).key("routes").index(1).key("path");
        assert_eq!(key.error("is wrong").to_string(), "p.toml:3: routes[1].path: is wrong");
        assert_eq!(
            key.error("a\nb\u{1b}[0m").to_string(),
            "p.toml:3: routes[1].path: a b [0m"
        );
        assert_eq!(key.error("ä".repeat(2000)).to_string().chars().count(), 26 + 1024);
        assert_eq!(key.key("a b\n").to_string(), "p.toml:3: routes[1].path.\"a b\\n\"");
        for (location, place, expected) in [
            (&file, "", "is wrong"),
            (&file, "Place", "Place: is wrong"),
            (&key, "", "routes[1].path: is wrong"),
            (&key, "Place", "Place.routes[1].path: is wrong"),
        ] {
            assert_eq!(location.error("is wrong").below(place), expected);
        }
    }

    #[test]
    fn the_nearest_known_name_is_suggested() {
        let known = ["listen", "trusted_proxies", "max_age"];
        for (name, expected) in [
            ("lisen", "unknown key; did you mean \"listen\"?"),
            ("Listen", "unknown key; did you mean \"listen\"?"),
            ("max-age", "unknown key; did you mean \"max_age\"?"),
            ("trusted_proxy", "unknown key; did you mean \"trusted_proxies\"?"),
            ("port", "unknown key; expected one of listen, trusted_proxies, max_age"),
        ] {
            assert_eq!(unknown("key", name, known), expected);
        }
        assert_eq!(
            unknown("authenticator", "a", []),
            "unknown authenticator; there are none"
        );
    }
}
