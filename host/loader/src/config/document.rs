//! One file of a configuration while it is read, with the files that it includes and the variables that override it. It knows
//! the lines of each text, the folder for relative paths, and the mistakes found so far.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use toml_span::Span;

use crate::config::error::ConfigError;
use crate::config::error::Location;
use crate::config::schema::Schema;
use crate::config::sources::Sources;

/// The maximum size of a configuration file, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;

/// The environment variables that a configuration may refer to, and that override it. A variable that isn't UTF-8 counts as not
/// set.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// The names of variables whose values aren't UTF-8.
    not_text: Vec<String>,
}

impl std::fmt::Debug for Environment {
    /// The values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    environment.variables.insert(name, value);
                }
                Err(_) => environment.not_text.push(name),
            }
        }
        environment
    }

    /// The names that begin so of variables whose values aren't UTF-8.
    pub(crate) fn not_text<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> {
        let names = self.not_text.iter().map(String::as_str);
        names.filter(move |name| name.starts_with(prefix))
    }

    /// The variables whose names begin so, sorted by name.
    pub(crate) fn beginning(&self, prefix: &str) -> Vec<(&str, &str)> {
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let mut variables = Vec::from_iter(variables.filter(|(name, _)| name.starts_with(prefix)));
        variables.sort_unstable();
        variables
    }

    /// The value of a variable. `None` if it isn't set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            variables: variables.into(),
            not_text: Vec::new(),
        }
    }
}

/// The path of the file with the pins of tags that belongs to a configuration file.
pub fn lock_beside(config: &Path) -> PathBuf {
    config.with_file_name("portcullis.lock")
}

/// A configuration file while it is read.
pub struct Document<'a> {
    file: Arc<str>,
    kind: Kind,
    folder: PathBuf,
    /// The file with the pins of tags.
    lock: PathBuf,
    environment: &'a Environment,
    sources: &'a Sources,
    errors: Rc<RefCell<Vec<ConfigError>>>,
    /// Where its text begins and ends if all texts that are read together stand one behind the other.
    range: Range<usize>,
    /// What is read together with it, in the order of the ranges.
    parts: Vec<Self>,
    /// What readers have said of a blank document. `None` for any other.
    schema: Option<Schema>,
}

/// What is read as a document.
enum Kind {
    /// A text. The offset of the beginning of each line, except the first.
    Text(Vec<usize>),
    /// The value of an environment variable.
    Variable,
    /// Something else that has no lines.
    Other,
}

impl<'a> Document<'a> {
    /// The file at this path, with this text. What it refers to is looked up in the environment, and the files that it names are
    /// noted in the sources.
    pub fn new(path: &Path, text: &str, environment: &'a Environment, sources: &'a Sources) -> Self {
        Self {
            file: path.display().to_string().into(),
            kind: Kind::Text(text.match_indices('\n').map(|(end, _)| end + 1).collect()),
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            lock: lock_beside(path),
            environment,
            sources,
            errors: Rc::default(),
            range: 0..text.len() + 1,
            parts: Vec::new(),
            schema: None,
        }
    }

    /// What isn't a file, but is read like one, such as JSON in a component. `name` is told in errors. Paths are
    /// relative to the folder of the process.
    pub fn without_lines(name: &str, environment: &'a Environment, sources: &'a Sources) -> Self {
        Self {
            kind: Kind::Other,
            folder: PathBuf::new(),
            ..Self::new(Path::new(name), "", environment, sources)
        }
    }

    /// A blank document: readers say what they expect in it instead of reading anything.
    pub fn blank(environment: &'a Environment, sources: &'a Sources) -> Self {
        Self {
            schema: Some(Schema::default()),
            ..Self::without_lines("blank", environment, sources)
        }
    }

    /// Adds an included file with its text. Returns where its range begins.
    pub(crate) fn include(&mut self, path: &Path, text: &str) -> usize {
        let included = Self::new(path, text, self.environment, self.sources);
        self.add(included)
    }

    /// Adds a variable that overrides a key, with the text in which its value stands. Paths in it are relative to the folder of this
    /// file. Returns where its range begins.
    pub(crate) fn override_by(&mut self, variable: &str, text: &str) -> usize {
        let overriding = Self {
            kind: Kind::Variable,
            folder: self.folder.clone(),
            ..Self::new(Path::new(variable), text, self.environment, self.sources)
        };
        self.add(overriding)
    }

    fn add(&mut self, part: Self) -> usize {
        let begin = self.parts.last().map_or(self.range.end, |last| last.range.end);
        self.parts.push(Self {
            lock: self.lock.clone(),
            errors: Rc::clone(&self.errors),
            range: begin..begin + part.range.len(),
            ..part
        });
        begin
    }

    /// The file or variable in which this stands: itself, or one of its parts.
    pub(crate) fn of(&self, span: Span) -> &Self {
        let behind = self.parts.partition_point(|part| part.range.start <= span.start);
        behind
            .checked_sub(1)
            .and_then(|last| self.parts.get(last))
            .unwrap_or(self)
    }

    /// Whether it is a part of another document.
    pub(crate) fn is_part(&self) -> bool {
        self.range.start > 0
    }

    /// Whether it is an environment variable.
    pub(crate) fn is_variable(&self) -> bool {
        matches!(self.kind, Kind::Variable)
    }

    /// What readers have said of a blank document. `None` for any other.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Takes what readers have said, as JSON Schema (draft 7). `None` if the document isn't blank.
    pub fn into_schema(self) -> Option<serde_json::Value> {
        self.schema.map(Schema::into_json)
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
        self.sources.note(&self.lock);
        self.sources.guard(&self.lock);
    }

    /// The location of the whole file.
    pub fn location(&self) -> Location {
        Location::file(Arc::clone(&self.file))
    }

    /// The location of what stands there, whose key is that of `location`.
    pub(crate) fn locate(&self, location: Location, span: Span) -> Location {
        let line = span.start.checked_sub(self.range.start);
        location.in_file(&self.file, line.and_then(|offset| self.line(offset)))
    }

    /// The line at an offset in the text, counted from 1. `None` if there are no lines.
    pub(crate) fn line(&self, offset: usize) -> Option<usize> {
        match &self.kind {
            Kind::Text(lines) => Some(lines.partition_point(|begin| *begin <= offset) + 1),
            Kind::Variable | Kind::Other => None,
        }
    }

    /// Adds a mistake.
    pub fn report(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }

    /// The number of mistakes found so far. If it hasn't grown, everything that was read in between is valid.
    pub fn error_count(&self) -> usize {
        self.errors.borrow().len()
    }

    /// Takes the mistakes, in the order in which they were found.
    pub fn into_errors(self) -> Vec<ConfigError> {
        self.errors.take()
    }
}
