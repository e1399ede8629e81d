//! `include`: further files of a configuration, such as `conf.d/*.toml`. They may not include any themselves.

use std::path::Path;
use std::path::PathBuf;

use toml_span::value;

use crate::config::document::Document;
use crate::config::error::Location;
use crate::config::pattern;
use crate::config::pattern::MAX_FILES;
use crate::config::pattern::MAX_TEXT;
use crate::config::reader::Item;
use crate::config::reader::Place;
use crate::config::values;
use crate::files::read_text;

/// The key that names the files.
pub const KEY: &str = "include";

/// The maximum number of entries of the list.
const MAX_ENTRIES: usize = 64;

/// A file to include, and where it is named.
pub(super) struct Include {
    pub(super) path: PathBuf,
    location: Location,
}

/// Reads the value of `include`.
pub(super) fn read(item: Item<'_>) -> Vec<(String, Location)> {
    let place = item.place.clone();
    let entries = values::each(Some(item), |item| {
        let location = item.place.location().clone();
        Some((item.text()?, location))
    });
    if entries.len() > MAX_ENTRIES {
        place.report(format!("more than {MAX_ENTRIES} entries"));
    }
    entries.into_iter().take(MAX_ENTRIES).collect()
}

/// Takes `include` out of a table.
pub(super) fn take<'a>(document: &'a Document<'a>, entries: &mut value::Table<'static>) -> Option<Item<'a>> {
    let (key, mut value) = entries.remove_entry(KEY)?;
    Some(Item {
        place: Place::of(document).key(&key.name, key.span),
        value: value.take(),
    })
}

/// Finds the files, in the order of the list, and those of one pattern in the order of their names. What can't be found is reported.
/// The folders of patterns are noted, so that a reload sees files that come and go.
pub(super) fn find(document: &Document<'_>, own: &Path, entries: Vec<(String, Location)>) -> Vec<Include> {
    let mut found: Vec<Include> = Vec::new();
    for (entry, location) in entries {
        let paths = match paths(document, &entry) {
            Ok(paths) => paths,
            Err(message) => {
                document.report(location.error(message));
                continue;
            }
        };
        for path in paths {
            if path == own {
                document.report(location.error(format!(
                    "{} would include itself: put the others into a folder of their own",
                    path.display()
                )));
            } else if found.iter().all(|include| include.path != path) {
                let location = location.clone();
                found.push(Include { path, location });
            }
        }
        if found.len() > MAX_FILES {
            document.report(location.error(format!("more than {MAX_FILES} files are included")));
            found.truncate(MAX_FILES);
        }
    }
    found
}

fn paths(document: &Document<'_>, entry: &str) -> Result<Vec<PathBuf>, String> {
    if let Some((folder, ending)) = pattern::split(entry) {
        return pattern::list(&document.folder(folder), ending);
    }
    if entry.is_empty() || entry.contains('*') {
        return Err(format!(
            "{entry:?} is neither \"FOLDER/*.ENDING\", such as \"conf.d/*.toml\", nor the path of a file"
        ));
    }
    Ok(vec![document.path(entry)])
}

/// Reads the texts of the files, which have at most [`MAX_TEXT`] bytes together. What can't be read is reported.
pub(super) fn texts(document: &Document<'_>, includes: Vec<Include>) -> Vec<(PathBuf, String)> {
    let mut left = MAX_TEXT;
    let mut texts = Vec::with_capacity(includes.len());
    for Include { path, location } in includes {
        document.sources().note(&path);
        match read_text(&path, MAX_TEXT) {
            Ok(text) => {
                let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
                let Some(rest) = left.checked_sub(size) else {
                    document.report(
                        location.error(format!("the included files are larger than {MAX_TEXT} bytes together")),
                    );
                    break;
                };
                left = rest;
                texts.push((path, text));
            }
            Err(error) => document.report(location.error(format!("{} {error}", path.display()))),
        }
    }
    texts
}
