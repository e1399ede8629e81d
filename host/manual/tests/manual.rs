//! Every command has its manual page, and the shells know every command.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, but clippy exempts only the test functions"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The names of a command and of all below it, joined as the manual does.
fn names(command: &clap::Command, above: &str, found: &mut Vec<String>) {
    let name = if above.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{above}-{}", command.get_name())
    };
    for below in command.get_subcommands() {
        names(below, &name, found);
    }
    found.push(name);
}

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_portcullis-manual"))
        .arg(folder.path().join("new"))
        .status()
        .unwrap();
    assert!(status.success());
    folder
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join("new").join(name)).unwrap_or_else(|error| format!("{name}: {error}"))
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let folder = written();
    let mut expected = Vec::new();
    names(&portcullis_gateway::command(), "", &mut expected);
    assert!(expected.len() > 15, "{expected:?}");
    for name in expected {
        let page = text(folder.path(), &format!("{name}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(!folder.path().join("new/portcullis-help.1").exists());
    let serve = text(folder.path(), "portcullis-serve.1");
    for expected in ["PORTCULLIS_CONFIG", "worker\\-threads", "Exit codes: 0 success"] {
        assert!(serve.contains(expected), "{expected} is missing:\n{serve}");
    }
}

#[test]
fn the_shells_complete_the_commands() {
    let folder = written();
    for name in ["portcullis", "_portcullis", "portcullis.fish"] {
        let completions = text(folder.path(), name);
        for word in ["conformance", "keygen", "log-level"] {
            assert!(completions.contains(word), "{name} doesn't know {word}");
        }
    }
}

#[test]
fn without_a_folder_it_says_what_it_needs() {
    let ran = Command::new(env!("CARGO_BIN_EXE_portcullis-manual")).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&ran.stderr),
        "usage: portcullis-manual FOLDER\n"
    );
}
