//! Imports run one way: down the layers that `docs/architecture.md` lists. An import that runs up is shown with its file
//! and line.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, but clippy exempts only the test functions"
)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The layers of one crate, as the page lists them: the rows of the table below the heading that names its sources.
struct Layers {
    sources: PathBuf,
    /// The row of each module, counted from the top.
    rows: HashMap<String, usize>,
}

/// Reads the page. A crate begins at a heading with the path of its sources in backticks, and each row of the table that
/// follows begins with the modules of one layer, in backticks.
fn layers(page: &str, root: &Path) -> Vec<Layers> {
    let mut crates: Vec<Layers> = Vec::new();
    let mut is_listed = false;
    for line in page.lines() {
        if line.starts_with('#') {
            let sources = quoted(line).find(|path| path.ends_with("/src"));
            is_listed = sources.is_some();
            crates.extend(sources.map(|sources| Layers {
                sources: root.join(sources),
                rows: HashMap::new(),
            }));
        }
        let row = line.strip_prefix('|').and_then(|line| line.split('|').next());
        if let (true, Some(row), Some(layers)) = (is_listed, row, crates.last_mut()) {
            let number = layers.rows.values().max().map_or(0, |last| last + 1);
            layers
                .rows
                .extend(quoted(row).map(|module| (module.to_owned(), number)));
        }
    }
    crates
}

/// The texts between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The source files below a folder, without those of tests, and without the crate's root.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            found.extend(files(&path));
        } else if name.ends_with(".rs") && !["main.rs", "lib.rs", "tests.rs", "testing.rs"].contains(&name) {
            found.push(path);
        }
    }
    found
}

/// The module of the crate that a source file belongs to, such as `config` for `config/route.rs`.
fn module<'a>(file: &'a Path, sources: &Path) -> &'a str {
    let inner = file.strip_prefix(sources).unwrap();
    let first = inner.components().next().unwrap().as_os_str().to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The modules that a line names by their path from the crate's root. Comments name what they like.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap();
    let paths = code.split("crate::").skip(1);
    paths.map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
}

/// Every import of a crate that runs up or to a module without a layer, as `FILE:LINE: …`.
fn wrong_imports(layers: &Layers) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files(&layers.sources) {
        let own = module(&file, &layers.sources);
        let place = file.display();
        let Some(row) = layers.rows.get(own) else {
            wrong.push(format!("{place}: docs/architecture.md lists no layer {own:?}"));
            continue;
        };
        for (number, line) in (1..).zip(fs::read_to_string(&file).unwrap().lines()) {
            for other in imported(line).filter(|other| *other != own) {
                match layers.rows.get(other) {
                    None => wrong.push(format!(
                        "{place}:{number}: {other:?} is no layer of docs/architecture.md"
                    )),
                    Some(below) if below > row => {}
                    Some(_) => wrong.push(format!("{place}:{number}: {own} imports {other}, which isn't below it")),
                }
            }
        }
    }
    wrong
}

#[test]
fn no_import_runs_up_the_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let crates = layers(&page, root);
    assert_eq!(
        crates.len(),
        4,
        "the page lists the layers of the core, of the loader, of the gateway and of the Python package"
    );
    for layers in &crates {
        assert!(!files(&layers.sources).is_empty(), "{}", layers.sources.display());
        let wrong = wrong_imports(layers);
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }
}

#[test]
fn an_import_that_runs_up_is_found_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("crate/src");
    fs::create_dir_all(sources.join("low")).unwrap();
    for (file, text) in [
        ("high.rs", "use crate::low::Low;\n"),
        (
            "low/mod.rs",
            "use std::fmt;\n\nuse crate::high::High;\n// crate::high is above\n",
        ),
        ("beside.rs", "fn f() { crate::low::f(); }\n"),
        ("unknown.rs", ""),
    ] {
        fs::write(sources.join(file), text).unwrap();
    }
    let page = "# Layers of `crate/src`\n| layer | what |\n|---|---|\n| `high` | top |\n| `low`, `beside` | bottom |\n";
    let crates = layers(page, folder.path());
    let mut wrong = wrong_imports(&crates[0]);
    wrong.sort();
    let wrong = Vec::from_iter(wrong.iter().map(|line| line.rsplit_once("src/").unwrap().1));
    assert_eq!(
        wrong,
        [
            "beside.rs:1: beside imports low, which isn't below it",
            "low/mod.rs:3: low imports high, which isn't below it",
            "unknown.rs: docs/architecture.md lists no layer \"unknown\"",
        ]
    );
}
