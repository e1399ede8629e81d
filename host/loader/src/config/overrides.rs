//! `PORTCULLIS__SECTION__KEY`: environment variables that override keys of a configuration. Two underscores stand between the names.
//! A value is read as TOML if it is TOML, and otherwise as a text.

use toml_span::Span;
use toml_span::Value;
use toml_span::value;
use toml_span::value::ValueInner;

use crate::config::document::Document;
use crate::config::document::Environment;
use crate::config::error::Location;
use crate::config::include;
use crate::config::merge::moved_value;

/// How the names of the variables begin.
pub const PREFIX: &str = "PORTCULLIS__";

const SEPARATOR: &str = "__";

/// The maximum number of names in a variable's name. No key of a configuration is deeper, except in settings.
const MAX_DEPTH: usize = 16;

/// A variable that overrides a key.
pub(super) struct Override {
    variable: String,
    value: String,
    /// The names that lead to the key, as they stand in the variable's name.
    path: Vec<String>,
}

impl Override {
    /// Whether it overrides `include`, which is read before all else.
    pub(super) fn is_include(&self) -> bool {
        matches!(self.path.as_slice(), [only] if fold(only) == include::KEY)
    }
}

/// Finds the variables, sorted by name, so that `PORTCULLIS__A` comes before `PORTCULLIS__A__B`. A wrong name is reported.
pub(super) fn find(document: &Document<'_>, environment: &Environment) -> Vec<Override> {
    let report = |variable: &str, message: String| {
        document.report(Location::file(variable).error(message));
    };
    for variable in environment.not_text(PREFIX) {
        report(variable, "is not UTF-8".to_owned());
    }
    let mut found: Vec<Override> = Vec::new();
    for (variable, value) in environment.beginning(PREFIX) {
        let names = variable.strip_prefix(PREFIX).unwrap_or_default();
        let path = Vec::from_iter(names.split(SEPARATOR).map(str::to_owned));
        if path.iter().any(String::is_empty) || path.len() > MAX_DEPTH {
            report(
                variable,
                format!(
                    "names no key: expected 1 to {MAX_DEPTH} names with two underscores between them, such as \
                     {PREFIX}SERVER{SEPARATOR}LISTEN for server.listen"
                ),
            );
            continue;
        }
        let same = |other: &&Override| folded(&other.path) == folded(&path);
        if let Some(other) = found.iter().find(same) {
            report(variable, format!("overrides the same key as {}", other.variable));
            continue;
        }
        found.push(Override {
            variable: variable.to_owned(),
            value: value.to_owned(),
            path,
        });
    }
    found
}

/// Puts the value of a variable into a configuration, in the place of the one that is there. A key that can't be reached is reported.
pub(super) fn apply(document: &mut Document<'_>, root: &mut value::Table<'static>, variable: &Override) {
    let text = format!("{VALUE} = {}", variable.value);
    let begin = document.override_by(&variable.variable, &text);
    let value = match parse(&text) {
        Some(value) => moved_value(value, begin),
        None => Value::new(ValueInner::String(variable.value.clone().into())),
    };
    let span = Span::new(begin, begin);
    if let Err(message) = set(root, &variable.path, value, span) {
        document.report(Location::file(variable.variable.as_str()).error(message));
    }
}

/// The value of a text `value = …`. `None` if it isn't TOML, or has more than the one key.
fn parse(text: &str) -> Option<Value<'_>> {
    let mut root = toml_span::parse(text).ok()?;
    match root.take() {
        ValueInner::Table(mut entries) if entries.len() == 1 => entries.remove(VALUE),
        _ => None,
    }
}

const VALUE: &str = "value";

/// Sets the value of a key. `span` is where the variable stands.
fn set(entries: &mut value::Table<'static>, path: &[String], value: Value<'static>, span: Span) -> Result<(), String> {
    let Some((written, below)) = path.split_first() else {
        return Ok(());
    };
    let name = name(entries, written)?;
    let key = |name: String| value::Key {
        name: name.into(),
        span,
    };
    if below.is_empty() {
        // A key that is replaced would keep its place.
        entries.remove(name.as_str());
        entries.insert(key(name), value);
        return Ok(());
    }
    let Some(known) = entries.get_mut(name.as_str()) else {
        let mut inner = value::Table::new();
        set(&mut inner, below, value, span)?;
        entries.insert(key(name), Value::with_span(ValueInner::Table(inner), span));
        return Ok(());
    };
    let mut inner = known.take();
    let done = match &mut inner {
        ValueInner::Table(inner) => set(inner, below, value, span),
        ValueInner::Array(_) => Err(format!(
            "{name} is a list, and a variable can't name an item of it: set the whole list as TOML, or add to it in a file that \
             is included"
        )),
        _ => Err(format!("{name} is no table, so it has no key {:?}", below.join("."))),
    };
    known.set(inner);
    done
}

/// The key that a name in a variable means: the one that differs from it only in case and in characters that variables can't have,
/// or else the name in small letters.
fn name(entries: &value::Table<'_>, written: &str) -> Result<String, String> {
    let alike = entries.keys().filter(|key| fold(&key.name) == fold(written));
    let alike = Vec::from_iter(alike.map(|key| key.name.to_string()));
    match alike.as_slice() {
        [] => Ok(written.to_lowercase()),
        [only] => Ok(only.clone()),
        several => Err(format!("{written} could be any of {}", several.join(", "))),
    }
}

/// A name in the characters that every system allows in a variable's name (POSIX, "Environment Variable Definition"), in small letters.
fn fold(name: &str) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(allowed).collect()
}

fn folded(path: &[String]) -> Vec<String> {
    path.iter().map(|name| fold(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::sources::Sources;

    /// A text with variables, and what is wrong.
    fn overridden<const N: usize>(text: &str, variables: [(&str, &str); N]) -> (String, String) {
        let (environment, sources) = (Environment::from(variables), Sources::default());
        let mut document = Document::new(Path::new("p.toml"), text, &environment, &sources);
        let mut root = toml_span::parse(text).unwrap();
        let ValueInner::Table(entries) = root.take() else {
            panic!("{text}")
        };
        let mut entries = crate::config::merge::moved(entries, 0);
        for variable in find(&document, &environment) {
            apply(&mut document, &mut entries, &variable);
        }
        let errors = document.into_errors();
        let errors = Vec::from_iter(errors.iter().map(ToString::to_string));
        (format!("{entries:?}"), errors.join("\n"))
    }

    #[test]
    fn a_variable_sets_the_key_that_it_names() {
        for (text, variable, value, expected) in [
            ("", "PORTCULLIS__A__B", "1", "[a]\nb = 1"),
            ("[a]\nb = 2\nc = 3", "PORTCULLIS__A__B", "1", "[a]\nb = 1\nc = 3"),
            (
                "[a.my-name]\nb = 2",
                "PORTCULLIS__A__MY_NAME__B",
                "1",
                "[a.my-name]\nb = 1",
            ),
            (
                "[a.\"x.test:80\"]\nb = 2",
                "PORTCULLIS__A__X_TEST_80__B",
                "1",
                "[a.\"x.test:80\"]\nb = 1",
            ),
            ("[a.Name]\nb = 2", "PORTCULLIS__A__NAME__B", "1", "[a.Name]\nb = 1"),
            ("[[r]]\nx = 1", "PORTCULLIS__R", "[{ x = 2 }]", "[[r]]\nx = 2"),
            ("a = { b = 1 }", "PORTCULLIS__A", "{ c = 2 }", "a = { c = 2 }"),
            ("", "PORTCULLIS__A", "text", "a = 'text'"),
            ("", "PORTCULLIS__A", "", "a = ''"),
            ("", "PORTCULLIS__A", "127.0.0.1:80", "a = '127.0.0.1:80'"),
            ("", "PORTCULLIS__A", "0660", "a = '0660'"),
            ("", "PORTCULLIS__A", "\"12\"", "a = '12'"),
            ("", "PORTCULLIS__A", "true", "a = true"),
            ("", "PORTCULLIS__A", "[1, 2]", "a = [1, 2]"),
            ("", "PORTCULLIS__A", "1\nb = 2", "a = \"1\\nb = 2\""),
            ("", "PORTCULLIS__A", "2026-11-26", "a = '2026-11-26'"),
            ("", "PORTCULLIS_A", "1", ""),
        ] {
            let (whole, _) = overridden(expected, []);
            assert_eq!(
                overridden(text, [(variable, value)]),
                (whole, String::new()),
                "{variable}={value}"
            );
        }
        let both = [("PORTCULLIS__A__B", "2"), ("PORTCULLIS__A", "{ b = 1, c = 1 }")];
        assert_eq!(
            overridden("", both),
            overridden("a = { b = 2, c = 1 }", []),
            "the longer name wins"
        );
    }

    #[test]
    fn a_variable_that_reaches_no_key_is_named() {
        let deep = format!("PORTCULLIS__{}A", "A__".repeat(MAX_DEPTH));
        for (text, variable, expected) in [
            ("", "PORTCULLIS__", "names no key"),
            ("", "PORTCULLIS__A__", "names no key"),
            ("", "PORTCULLIS____A", "names no key"),
            ("", deep.as_str(), "names no key"),
            (
                "[[r]]\nx = 1",
                "PORTCULLIS__R__0__X",
                "r is a list, and a variable can't name an item of it",
            ),
            ("a = 1", "PORTCULLIS__A__B", "a is no table"),
            ("[a-b]\n[a_b]", "PORTCULLIS__A_B__C", "A_B could be any of a-b, a_b"),
        ] {
            let (whole, error) = overridden(text, [(variable, "1")]);
            assert!(error.starts_with(&format!("{variable}: {expected}")), "{error}");
            assert_eq!(whole, overridden(text, []).0);
        }
        let same = [("PORTCULLIS__A_B", "1"), ("PORTCULLIS__a_b", "2")];
        let (_, error) = overridden("", same);
        assert_eq!(error, "PORTCULLIS__a_b: overrides the same key as PORTCULLIS__A_B");
    }
}
