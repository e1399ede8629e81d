//! References to the files of a folder (`files:FOLDER/*.cedar`), each of which is a text of a list. A reload sees files that
//! come and go.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::config::document::Document;
use crate::files::read_text;

/// The most files of one reference.
pub(super) const MAX_FILES: usize = 1000;

/// The most bytes of all files of one reference.
pub(super) const MAX_TEXT: u64 = 1 << 20;

/// A file of a folder, and its text.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The folder and the end of the names of a reference. `None` if a text is no such reference.
pub(super) fn parse(text: &str) -> Option<Result<(&str, &str), String>> {
    let pattern = text.strip_prefix("files:")?;
    let wrong = || format!("{text:?} is not \"files:FOLDER/*.ENDING\", such as \"files:policies/*.cedar\"");
    Some(split(pattern).ok_or_else(wrong))
}

/// The folder and the end of the names of a pattern `FOLDER/*.ENDING`. `None` if a text is no such pattern.
pub(super) fn split(pattern: &str) -> Option<(&str, &str)> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let folder = if folder.is_empty() { "/" } else { folder };
    let ending = name.strip_prefix('*').filter(|ending| !ending.is_empty())?;
    (!ending.contains('*') && !folder.contains('*')).then_some((folder, ending))
}

/// Reads the files of a folder whose names end so, sorted by name.
pub(super) fn read(document: &Document<'_>, folder: &str, ending: &str) -> Result<Vec<Found>, String> {
    let folder = document.folder(folder);
    let paths = list(&folder, ending)?;
    let shown = folder.display();
    if paths.is_empty() {
        return Err(format!("{shown} has no file whose name ends in {ending}"));
    }
    let mut left = MAX_TEXT;
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        document.sources().note_content(&path);
        let text = read_text(&path, MAX_TEXT).map_err(|error| format!("{} {error}", path.display()))?;
        let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
        left = left
            .checked_sub(size)
            .ok_or_else(|| format!("the files of {shown} are larger than {MAX_TEXT} bytes together"))?;
        found.push(Found { path, text });
    }
    Ok(found)
}

/// Lists the files of a folder whose names end so, sorted by name. Hidden ones, whose names begin with a dot, are left out, and so
/// are folders.
pub(super) fn list(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).map_err(|error| format!("{shown} can't be read: {error}"))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("{shown} can't be read: {error}"))?;
        let name = entry.file_name();
        let fits = name
            .to_str()
            .is_some_and(|name| name.ends_with(ending) && !name.starts_with('.'));
        // What is a link is judged by what it leads to: Kubernetes mounts files as links.
        if fits && !entry.path().is_dir() {
            names.push(name);
        }
        if names.len() > MAX_FILES {
            return Err(format!(
                "{shown} has more than {MAX_FILES} files whose names end in {ending}"
            ));
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::config::digests::Digests;
    use crate::config::document::Environment;
    use crate::config::reader::Table;
    use crate::config::settings::json;
    use crate::config::sources::Sources;

    #[test]
    fn a_reference_names_a_folder_and_an_ending() {
        for (text, expected) in [
            ("files:policies/*.cedar", Some(Ok(("policies", ".cedar")))),
            ("files:*.cedar", Some(Ok((".", ".cedar")))),
            ("files:/*.cedar", Some(Ok(("/", ".cedar")))),
            ("file:policies/*.cedar", None),
            ("policies", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        for wrong in [
            "files:",
            "files:policies",
            "files:policies/*",
            "files:a/*b*.c",
            "files:*/*.c",
            "files:a/b.c",
        ] {
            assert!(parse(wrong).unwrap().is_err(), "{wrong}");
        }
    }

    /// The value of a key in a file beside the folder `p`, and the digests of both; or what is wrong with it.
    fn read_key(folder: &Path, value: &str) -> (Option<Value>, Digests, String) {
        let (environment, sources) = (Environment::from([]), Sources::default());
        let text = format!("policies = {value}\n");
        let document = Document::new(&folder.join("a.toml"), &text, &environment, &sources);
        let mut table = Table::parse(&document, &text).unwrap();
        let values = table.values(&[]);
        let read = table.take("policies").and_then(json);
        let mut digests = Digests::default();
        digests.add(values, &document);
        let errors = document.into_errors();
        let errors = Vec::from_iter(errors.iter().map(ToString::to_string));
        (read, digests, errors.join("\n"))
    }

    #[test]
    fn the_files_of_a_folder_are_items_of_a_list() {
        let beside = tempfile::tempdir().unwrap();
        let folder = beside.path().join("p");
        fs::create_dir_all(folder.join("d.cedar")).unwrap();
        for name in ["b.cedar", "a.cedar", ".c.cedar", "a.json"] {
            fs::write(folder.join(name), format!("{name}\n")).unwrap();
        }
        let all = json!(["a.cedar\n", "b.cedar\n"]);
        let (read, before, errors) = read_key(beside.path(), "\"files:p/*.cedar\"");
        assert_eq!((read, errors.as_str()), (Some(all), ""));
        let (read, ..) = read_key(beside.path(), "[\"x\", \"files:p/*.cedar\", \"y\"]");
        assert_eq!(read, Some(json!(["x", "a.cedar\n", "b.cedar\n", "y"])));

        let differs = || read_key(beside.path(), "\"files:p/*.cedar\"").1 != before;
        assert!(!differs());
        fs::write(folder.join("a.json"), "other").unwrap();
        assert!(!differs(), "a file of another kind is no part of it");
        fs::write(folder.join("c.cedar"), "").unwrap();
        assert!(differs(), "a new file is a change");
        fs::remove_file(folder.join("c.cedar")).unwrap();
        assert!(!differs());
        fs::rename(folder.join("a.cedar"), folder.join("z.cedar")).unwrap();
        assert!(differs(), "another order is a change");
    }

    #[test]
    fn what_is_out_of_bounds_or_not_there_is_a_mistake() {
        let beside = tempfile::tempdir().unwrap();
        let folder = beside.path().join("p");
        fs::create_dir(&folder).unwrap();
        let wrong = || {
            let (read, _, error) = read_key(beside.path(), "[\"files:p/*.cedar\"]");
            assert_eq!(read, None, "{error}");
            error
        };
        assert!(wrong().contains("has no file whose name ends in .cedar"));
        fs::write(folder.join("a.cedar"), b"\xff").unwrap();
        assert!(wrong().ends_with("a.cedar is not UTF-8"));
        let half = "x".repeat(600_000);
        for name in ["a.cedar", "b.cedar"] {
            fs::write(folder.join(name), &half).unwrap();
        }
        assert!(wrong().ends_with("are larger than 1048576 bytes together"));
        for number in 0..MAX_FILES {
            fs::write(folder.join(format!("{number}.cedar")), "").unwrap();
        }
        assert!(wrong().ends_with("has more than 1000 files whose names end in .cedar"));
        fs::remove_dir_all(&folder).unwrap();
        assert!(wrong().contains("can't be read"));
    }
}
