//! A whole configuration: a file, the files that it includes, and the variables of the environment that override it. They are read
//! as one table, in which each value knows where it stands.

use std::path::Path;

use toml_span::Span;
use toml_span::value;

use crate::config::document::Document;
use crate::config::document::Environment;
use crate::config::include;
use crate::config::merge::Twice;
use crate::config::merge::merge;
use crate::config::merge::moved;
use crate::config::overrides;
use crate::config::parse::parse;
use crate::config::reader::Place;
use crate::config::sources::Sources;

pub use crate::config::include::KEY as INCLUDE;
pub use crate::config::overrides::PREFIX;

/// A whole configuration before it is read.
pub struct Whole<'a> {
    document: Document<'a>,
    /// `None` if a text isn't TOML.
    entries: Option<value::Table<'static>>,
}

impl<'a> Whole<'a> {
    /// Puts a configuration together: the file at this path, with this text, and what belongs to it. Mistakes are kept in the
    /// document.
    pub fn new(path: &Path, text: &str, environment: &'a Environment, sources: &'a Sources) -> Self {
        let mut document = Document::new(path, text, environment, sources);
        let variables = overrides::find(&document, environment);
        let entries = parse(&document, text).map(|entries| moved(entries, 0));
        let entries = entries.and_then(|mut root| {
            for variable in variables.iter().filter(|variable| variable.is_include()) {
                overrides::apply(&mut document, &mut root, variable);
            }
            let is_complete = include_all(&mut document, &mut root, path);
            for variable in variables.iter().filter(|variable| !variable.is_include()) {
                overrides::apply(&mut document, &mut root, variable);
            }
            // What is missing would cause mistakes in the rest.
            is_complete.then_some(root)
        });
        Self { document, entries }
    }

    /// The document with its mistakes, and the table to read in it. `None` instead of the table if a file can't be read or isn't TOML.
    pub fn into_parts(self) -> (Document<'a>, Option<value::Table<'static>>) {
        (self.document, self.entries)
    }
}

/// Adds the files that `include` names. Returns whether all could be read.
fn include_all(document: &mut Document<'_>, root: &mut value::Table<'static>, path: &Path) -> bool {
    let before = document.error_count();
    let entries = include::take(document, root).map(include::read);
    let includes = include::find(document, path, entries.unwrap_or_default());
    let texts = include::texts(document, includes);
    let mut is_complete = document.error_count() == before;
    for (path, text) in texts {
        let begin = document.include(&path, &text);
        let included = document.of(Span::new(begin, begin));
        match parse(included, &text) {
            Some(entries) => add(document, root, moved(entries, begin)),
            None => is_complete = false,
        }
    }
    is_complete
}

/// Adds the table of a file that is included.
fn add(document: &Document<'_>, root: &mut value::Table<'static>, mut entries: value::Table<'static>) {
    if let Some(item) = include::take(document, &mut entries) {
        item.place
            .report("isn't allowed here: a file that is included can't include others");
    }
    let mut all = Vec::new();
    merge(root, entries, &mut Vec::new(), &mut all);
    for Twice { path, first, again } in all {
        let place = path
            .iter()
            .fold(Place::of(document), |place, key| place.key(key, again));
        let first = document.of(first).locate(document.location(), first).source();
        place.report(format!(
            "is set in {first} already, and a key may stand in one file only"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::located::Content;
    use crate::config::located::Located;
    use crate::config::reader::Table;

    /// Writes files, reads `p.toml` with what belongs to it, and returns every value with its place, or what is wrong.
    fn read<const N: usize>(
        folder: &Path,
        files: &[(&str, &str)],
        variables: [(&str, &str); N],
    ) -> Result<String, String> {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (environment, sources) = (Environment::from(variables), Sources::default());
        let path = folder.join("p.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (document, entries) = Whole::new(&path, &text, &environment, &sources).into_parts();
        let located = entries.map(|entries| Table::of(&document, entries).located());
        let errors = document.into_errors();
        let errors = Vec::from_iter(errors.iter().map(ToString::to_string)).join("\n");
        let shown = located.map(|located| lines(&located).join("\n")).unwrap_or_default();
        let found = if errors.is_empty() { Ok(shown) } else { Err(errors) };
        let short = |text: String| text.replace(&format!("{}/", folder.display()), "");
        found.map(short).map_err(short)
    }

    fn lines(located: &Located) -> Vec<String> {
        match &located.content {
            Content::Scalar(value) => vec![format!("{} = {value}", located.location)],
            Content::List(items) => items.iter().flat_map(lines).collect(),
            Content::Table(entries) => entries.iter().flat_map(|(_, entry)| lines(entry)).collect(),
        }
    }

    #[test]
    fn every_value_knows_its_file_or_variable() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            (
                "p.toml",
                "include = [\"conf.d/*.toml\", \"more.toml\"]\n[server]\nlisten = 1\n[[routes]]\npath = 1\n",
            ),
            ("conf.d/b.toml", "\n[[routes]]\npath = 3\n"),
            ("conf.d/a.toml", "[[routes]]\npath = 2\n[server]\ntls.cert = 1\n"),
            ("conf.d/.hidden.toml", "nonsense"),
            ("conf.d/other.txt", "nonsense"),
            ("more.toml", "[server.tls]\nkey = 1\n"),
        ];
        let variables = [("PORTCULLIS__SERVER__LISTEN", "[2, 3]"), ("PORTCULLIS__NEW__KEY", "x")];
        let expected = "p.toml:5: routes[0].path = 1\nconf.d/a.toml:2: routes[1].path = 2\nconf.d/b.toml:3: routes[2].path = 3\n\
                        PORTCULLIS__NEW__KEY: new.key = \"x\"";
        let found = read(folder.path(), &files, variables).unwrap();
        for line in [
            expected,
            "conf.d/a.toml:4: server.tls.cert = 1\nmore.toml:2: server.tls.key = 1",
            "PORTCULLIS__SERVER__LISTEN: server.listen[0] = 2\nPORTCULLIS__SERVER__LISTEN: server.listen[1] = 3",
        ] {
            assert!(found.contains(line), "{found}\ndoesn't contain\n{line}");
        }
        assert_eq!(found.lines().count(), 8, "{found}");
    }

    #[test]
    fn a_folder_without_files_adds_nothing_and_a_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        let found = read(folder.path(), &[("p.toml", "include = [\"conf.d/*.toml\"]\na = 1")], []);
        assert_eq!(found.unwrap(), "p.toml:2: a = 1");
        let twice = [("p.toml", "include = [\"b.toml\", \"b.toml\"]"), ("b.toml", "b = 1")];
        assert_eq!(read(folder.path(), &twice, []).unwrap(), "b.toml:1: b = 1");
        let variable = [("PORTCULLIS__INCLUDE", "[\"b.toml\"]")];
        assert_eq!(
            read(folder.path(), &[("p.toml", "")], variable).unwrap(),
            "b.toml:1: b = 1"
        );
    }

    #[test]
    fn a_mistake_about_files_names_them() {
        let folder = tempfile::tempdir().unwrap();
        for (main, included, expected) in [
            (
                "include = [\"i.toml\"]\n[a]\nb = 1",
                "[a]\n\nb = 2",
                "i.toml:3: a.b: is set in p.toml:3 already, and a key may stand in one file only",
            ),
            ("include = [\"i.toml\"]", "a = \n", "i.toml:1: not TOML: "),
            (
                "include = [\"i.toml\"]",
                "\ninclude = []",
                "i.toml:2: include: isn't allowed here: a file that is included can't include others",
            ),
            (
                "include = [\"gone.toml\"]",
                "",
                "p.toml:1: include[0]: gone.toml can't be opened: ",
            ),
            (
                "include = [\"gone/*.toml\"]",
                "",
                "p.toml:1: include[0]: gone can't be read: ",
            ),
            ("include = [\"*\"]", "", "p.toml:1: include[0]: \"*\" is neither"),
            (
                "include = [\"*/a.toml\"]",
                "",
                "p.toml:1: include[0]: \"*/a.toml\" is neither",
            ),
            ("include = [\"\"]", "", "p.toml:1: include[0]: \"\" is neither"),
            (
                "\ninclude = \"i.toml\"",
                "",
                "p.toml:2: include: expected a list, found a string",
            ),
            (
                "include = [1]",
                "",
                "p.toml:1: include[0]: expected a string, found an integer",
            ),
        ] {
            let error = read(folder.path(), &[("p.toml", main), ("i.toml", included)], []).unwrap_err();
            assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        }
        let own = folder.path().join("p.toml");
        let error = read(folder.path(), &[("p.toml", &format!("include = [{own:?}]"))], []).unwrap_err();
        assert!(error.contains("would include itself"), "{error}");
    }

    #[test]
    fn what_is_included_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let half = format!("#{}\n", "x".repeat(600_000));
        let files = [
            ("p.toml", "include = [\"c/*.toml\"]"),
            ("c/a.toml", half.as_str()),
            ("c/b.toml", half.as_str()),
        ];
        let error = read(folder.path(), &files, []).unwrap_err();
        assert!(error.ends_with("larger than 1048576 bytes together"), "{error}");
        for number in 0..=1000 {
            fs::write(folder.path().join(format!("c/{number}.toml")), "").unwrap();
        }
        let error = read(folder.path(), &files, []).unwrap_err();
        assert!(error.contains("has more than 1000 files"), "{error}");
    }
}
