//! One file of a configuration while it is read. It knows the lines of the text, the folder for relative paths, and the
//! mistakes found so far.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use toml_span::Span;

use crate::config::error::ConfigError;
use crate::config::error::Location;
use crate::config::sources::Sources;

/// The maximum size of a configuration file, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;

/// The environment variables that a configuration may refer to. A variable that isn't UTF-8 counts as not set.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl std::fmt::Debug for Environment {
    /// The values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(unicode).collect())
    }

    /// The value of a variable. `None` if it isn't set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
    }
}

/// The path of the file with the pins of tags that belongs to a configuration file.
pub fn lock_beside(config: &Path) -> PathBuf {
    config.with_file_name("portcullis.lock")
}

/// A configuration file while it is read.
pub struct Document<'a> {
    file: Arc<str>,
    /// The offset of the beginning of each line, except the first. `None` if it isn't a text with lines.
    lines: Option<Vec<usize>>,
    path: PathBuf,
    folder: PathBuf,
    environment: &'a Environment,
    sources: &'a Sources,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> Document<'a> {
    /// The file at this path, with this text. What it refers to is looked up in the environment, and the files that it names are
    /// noted in the sources.
    pub fn new(path: &Path, text: &str, environment: &'a Environment, sources: &'a Sources) -> Self {
        Self {
            file: path.display().to_string().into(),
            lines: Some(text.match_indices('\n').map(|(end, _)| end + 1).collect()),
            path: path.to_owned(),
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            environment,
            sources,
            errors: RefCell::default(),
        }
    }

    /// What isn't a file, but is read like one, such as JSON in a component. `name` is told in errors. Paths are
    /// relative to the folder of the process.
    pub fn without_lines(name: &str, environment: &'a Environment, sources: &'a Sources) -> Self {
        Self {
            lines: None,
            folder: PathBuf::new(),
            ..Self::new(Path::new(name), "", environment, sources)
        }
    }

    /// The environment that the file may refer to.
    pub fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// The files that were named so far.
    pub fn sources(&self) -> &'a Sources {
        self.sources
    }

    /// Resolves a path relative to the folder of the file.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Resolves the path of a file whose content becomes a part of the configuration. Call it before the file is read.
    pub fn file(&self, path: &str) -> PathBuf {
        let path = self.path(path);
        self.sources.note_content(&path);
        path
    }

    /// Resolves the path of a folder whose files become a part of the configuration. Call it before the folder is read.
    pub fn folder(&self, path: &str) -> PathBuf {
        let path = self.path(path);
        self.sources.note(&path);
        path
    }

    /// Resolves the path of a file that what uses it reads again when it changes. Call it before the file is read.
    pub fn live_file(&self, path: &str) -> PathBuf {
        let path = self.path(path);
        self.sources.note(&path);
        path
    }

    /// Resolves the path of a component. Call it before the file is read.
    pub fn component(&self, path: &str) -> PathBuf {
        let path = self.path(path);
        self.sources.note_component(&path);
        path
    }

    /// Notes the file with the pins of tags, which is about to be read.
    pub fn note_lock(&self) {
        let path = lock_beside(&self.path);
        self.sources.note(&path);
        self.sources.guard(&path);
    }

    /// The location of the whole file.
    pub fn location(&self) -> Location {
        Location::file(Arc::clone(&self.file))
    }

    /// The line at which a span starts, counted from 1. `None` if there are no lines.
    pub fn line(&self, span: Span) -> Option<usize> {
        let lines = self.lines.as_ref()?;
        Some(lines.partition_point(|begin| *begin <= span.start) + 1)
    }

    /// Adds a mistake.
    pub fn report(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }

    /// The number of mistakes found so far. If it hasn't grown, everything that was read in between is valid.
    pub fn error_count(&self) -> usize {
        self.errors.borrow().len()
    }

    /// The mistakes, in the order in which they were found.
    pub fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }
}
