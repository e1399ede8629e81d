//! Puts what `portcullis plugin new` writes into the program: the templates, the SDK and the contract. The crates that embed
//! folders don't notice a file that is added, since stable Rust can't watch a folder from a macro; a build script can.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The lists of files, each with its folder from the root of the repository.
const FOLDERS: [(&str, &str); 13] = [
    ("JAVASCRIPT", "host/gateway/templates/javascript"),
    ("JAVASCRIPT_HELPER", "sdk/javascript"),
    ("PYTHON", "host/gateway/templates/python"),
    ("PYTHON_HELPER", "sdk/python"),
    ("RUST", "host/gateway/templates/rust"),
    // What an authorizer and a login have in place of the files of an authenticator.
    ("JAVASCRIPT_AUTHORIZER", "host/gateway/templates/javascript-authorizer"),
    ("JAVASCRIPT_LOGIN", "host/gateway/templates/javascript-login"),
    ("PYTHON_AUTHORIZER", "host/gateway/templates/python-authorizer"),
    ("PYTHON_LOGIN", "host/gateway/templates/python-login"),
    ("RUST_AUTHORIZER", "host/gateway/templates/rust-authorizer"),
    ("RUST_LOGIN", "host/gateway/templates/rust-login"),
    ("SDK", "sdk"),
    ("WIT", "wit"),
];

fn main() {
    if let Err(reason) = embed() {
        println!("cargo::error={reason}");
    }
}

fn embed() -> Result<(), String> {
    let variable = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| format!("cargo has not set {name}"))
    };
    let own = variable("CARGO_MANIFEST_DIR")?;
    let root = own.ancestors().nth(2).ok_or("the crate has no folder above it")?;
    let mut code = String::new();
    for (list, folder) in FOLDERS {
        let folder = root.join(folder);
        let mut files = Vec::new();
        find(&folder, &mut files)?;
        files.sort();
        // Writing to a string can't fail.
        let _ = writeln!(code, "pub(super) static {list}: &[(&str, &str)] = &[");
        for file in files {
            let name = file.strip_prefix(&folder).map_err(|error| error.to_string())?;
            let _ = writeln!(code, "    ({:?}, include_str!({file:?})),", name);
        }
        code.push_str("];\n");
    }
    let manifest = root.join("Cargo.toml");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let text = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let _ = writeln!(code, "pub(super) static SDK_WORKSPACE: &str = {:?};", workspace(&text));
    let out = variable("OUT_DIR")?.join("templates.rs");
    fs::write(&out, code).map_err(|error| format!("{}: {error}", out.display()))
}

/// What is in none of the lists.
const LEFT_OUT: [&str; 9] = [
    "__pycache__",
    "node_modules",
    "released",
    "sdk/c",
    "sdk/go",
    "sdk/javascript",
    "sdk/python",
    "sdk/python/.mypy_cache",
    "target",
];

/// All files below a folder. Links are followed, such as that of the SDK to the contract.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in folder.read_dir().map_err(at)? {
        let path = entry.map_err(at)?.path();
        // What a build leaves behind isn't a part of a project, and neither are earlier versions of the contract or the helper
        // modules for other languages.
        let is_left_out = LEFT_OUT.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_left_out {
            find(&path, files)?;
        } else if path.is_file() && !is_left_out {
            files.push(path);
        }
    }
    Ok(())
}

/// The workspace of a copy of the SDK: what its `Cargo.toml` inherits from the one of the repository.
fn workspace(text: &str) -> String {
    let mut workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"sdk\"]\n".to_owned();
    let mut is_inherited = false;
    for line in text.lines() {
        if line.starts_with('[') {
            is_inherited = line.starts_with("[workspace.");
        }
        let is_elsewhere = line.contains("path = \"");
        if is_inherited && !is_elsewhere && !line.starts_with('#') {
            workspace.push_str(line);
            workspace.push('\n');
        }
    }
    workspace
}
