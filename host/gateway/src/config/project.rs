//! `build.toml`, the file of `plugin dev`: how the project of a plugin is built.

use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use portcullis_loader::config::document::Document;
use portcullis_loader::config::document::Environment;
use portcullis_loader::config::document::MAX_FILE;
use portcullis_loader::config::error::ConfigErrors;
use portcullis_loader::config::error::Location;
use portcullis_loader::config::plugin::NAME_RULE;
use portcullis_loader::config::plugin::is_name;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::sources::Sources;
use portcullis_loader::files::read_text;

/// The name of the file.
const FILE: &str = "build.toml";

/// The project of a plugin.
#[derive(Debug)]
pub(crate) struct PluginProject {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The name of the plugin, which follows the rule for authenticators.
    pub(crate) name: String,
    /// The build command: a program and its arguments.
    pub(crate) command: (String, Vec<String>),
    /// The component that the command writes.
    pub(crate) component: PathBuf,
    /// The files and folders that it is built from.
    pub(crate) sources: Vec<PathBuf>,
}

impl PluginProject {
    /// Reads `build.toml` in this folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, ConfigErrors> {
        let path = folder.join(FILE);
        let text = read_text(&path, MAX_FILE).map_err(|error| {
            let location = Location::file(path.display().to_string());
            let message = format!("{error}; `portcullis plugin new` writes a project with one");
            ConfigErrors::new(vec![location.error(message)])
        })?;
        let (sources, environment) = (Sources::default(), Environment::of_process());
        let document = Document::new(&path, &text, &environment, &sources);
        let read = Table::parse(&document, &text).and_then(|table| Self::read_root(folder, table));
        match (read, document.into_errors()) {
            (Some(project), errors) if errors.is_empty() => Ok(project),
            (_, errors) => Err(ConfigErrors::new(errors)),
        }
    }

    /// The settings and grants of the plugin.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.name))
    }

    fn read_root(folder: &Path, mut root: Table<'_>) -> Option<Self> {
        let name = root
            .require("name")
            .and_then(|item| item.parse(NAME_RULE, |text| is_name(text).then(|| text.to_owned())));
        let command = root.require("command").and_then(|item| {
            let place = item.place.clone();
            let words = item.list().into_iter().map(Item::text);
            let mut words = words.collect::<Option<Vec<_>>>()?.into_iter();
            let program = words.next();
            if program.is_none() {
                place.report("must name a program");
            }
            Some((program?, words.collect()))
        });
        let component = root.require("component").and_then(|item| below(folder, item));
        let sources = root.require("sources").map(|item| {
            let items = item.list().into_iter();
            items.filter_map(|item| below(folder, item)).collect()
        });
        root.finish();
        Some(Self {
            folder: folder.to_owned(),
            name: name?,
            command: command?,
            component: component?,
            sources: sources?,
        })
    }
}

/// Reads a path below the project's folder.
fn below(folder: &Path, item: Item<'_>) -> Option<PathBuf> {
    let path = item.parse("a path below this folder", |text| {
        let path = PathBuf::from(text);
        let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
        (is_below && !text.is_empty()).then_some(path)
    });
    path.map(|path| folder.join(path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<PluginProject, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        let read = PluginProject::read(folder.path());
        read.map_err(|errors| errors.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn a_project_says_how_it_is_built() {
        let good = "name = 'a'\ncommand = ['make', '-s']\ncomponent = 'out/a.wasm'\nsources = ['src', 'Makefile']\n";
        let project = read(good).unwrap();
        assert_eq!(project.command, ("make".to_owned(), vec!["-s".to_owned()]));
        assert!(project.component.ends_with("out/a.wasm") && project.config().ends_with("a.toml"));
        assert_eq!(project.sources.len(), 2);
        for (from, to, error) in [
            ("'a'", "'../a'", "build.toml:1: name: \"../a\" is not 1 to 64 letters"),
            ("'make', '-s'", "", "build.toml:2: command: must name a program"),
            (
                "out/a.wasm",
                "../a.wasm",
                "build.toml:3: component: \"../a.wasm\" is not a path below this folder",
            ),
            (
                "'src'",
                "'/src'",
                "build.toml:4: sources[0]: \"/src\" is not a path below",
            ),
            ("sources", "source", "unknown key"),
        ] {
            let found = read(&good.replace(from, to)).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }

    #[test]
    fn a_folder_without_the_file_is_no_project() {
        let folder = tempfile::tempdir().unwrap();
        let error = PluginProject::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("build.toml: can't be opened") && error.contains("plugin new"),
            "{error}"
        );
    }
}
