//! `trust`: whose signature a component needs, and who may write the files that decide which plugins run.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::testing::write;

const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// A folder with `keys/vendor.pub`, and a plugin directory with `dropped.wasm` and `described.wasm`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        (
            "keys/vendor.pub",
            format!("untrusted comment: vendor\n{KEY}\n").as_str(),
        ),
        ("keys/garbage.pub", "hello"),
        ("keys/huge.pub", &" ".repeat(5000)),
        ("plugins/dropped.wasm", ""),
        ("plugins/described.wasm", ""),
        ("plugins/described.toml", ""),
    ] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, text, 0o644);
    }
    folder
}

fn text(plugins: &str, own: &str) -> String {
    format!(
        r#"
[plugins]
directory = "plugins"
{plugins}
[authenticators.file]
plugin = "x.wasm"
{own}
[authenticators.builtin]
plugin = "simple"
[[routes]]
path = "/"
public = true
upstream = "portcullis:whoami"
"#
    )
}

fn errors(folder: &Path, text: &str) -> Vec<String> {
    let errors = errors_in(&folder.join("p.toml"), text, &Environment::from([]));
    let place = format!("{}/", folder.display());
    errors.iter().map(|error| error.replace(&place, "")).collect()
}

#[test]
fn the_list_of_an_authenticator_replaces_that_of_all() {
    let folder = folder();
    let other = KEY.replace("RWQf", "RWQe");
    let (here, there) = (format!("trust = [\"{KEY}\"]"), format!("trust = [\"{other}\"]"));
    for (plugins, own, file, dropped) in [
        ("", "", None, None),
        (here.as_str(), "", Some("RWQf"), Some("RWQf")),
        ("trust = [\"file:keys/vendor.pub\"]", "", Some("RWQf"), Some("RWQf")),
        ("", &there, Some("RWQe"), None),
        (&here, &there, Some("RWQe"), Some("RWQf")),
    ] {
        let draft = Draft::parse(
            &folder.path().join("p.toml"),
            &text(plugins, own),
            &Environment::from([]),
        );
        assert_eq!(draft.errors, []);
        for (name, expected) in [("file", file), ("dropped", dropped), ("described", dropped)] {
            let mut all = draft.config.plugin_entries.iter();
            let found = all.find(|authenticator| authenticator.name == name).unwrap();
            assert_eq!(found.trust.is_some(), expected.is_some(), "{name}: {plugins} {own}");
            let id = match expected {
                Some("RWQe") => "E7620F1842B4E81E",
                _ => "E7620F1842B4E81F",
            };
            let shown = found.trust.as_ref().map(|keys| keys.to_string());
            assert_eq!(shown.as_deref(), expected.map(|_| id), "{name}: {plugins} {own}");
        }
    }
}

#[test]
fn a_mistake_in_the_list_is_reported() {
    let folder = folder();
    let no_key = "is no public key of minisign: it has 56 characters and begins with RW";
    for (plugins, own, expected) in [
        (
            "trust = []",
            "",
            "4: plugins.trust: is empty: name a key, or leave it out to accept every component".to_owned(),
        ),
        (
            "",
            "trust = []",
            "7: authenticators.file.trust: is empty: name a key, or leave it out to accept every component".into(),
        ),
        (
            "trust = \"x\"",
            "",
            "4: plugins.trust: expected a list, found a string".into(),
        ),
        (
            "trust = [1]",
            "",
            "4: plugins.trust[0]: expected a string, found an integer".into(),
        ),
        ("trust = [\"RW\"]", "", format!("4: plugins.trust[0]: {no_key}")),
        (
            "trust = [\"file:keys/gone.pub\"]",
            "",
            "4: plugins.trust[0]: keys/gone.pub can't be opened: No such file or directory (os error 2)".into(),
        ),
        (
            "trust = [\"file:keys/garbage.pub\"]",
            "",
            format!("4: plugins.trust[0]: keys/garbage.pub {no_key}"),
        ),
        (
            "trust = [\"file:keys/huge.pub\"]",
            "",
            "4: plugins.trust[0]: keys/huge.pub is larger than 4096 bytes".into(),
        ),
    ] {
        let found = errors(folder.path(), &text(plugins, own));
        assert_eq!(found, [format!("p.toml:{expected}")]);
    }
    let built_in = text("", "").replace(
        "plugin = \"simple\"",
        &format!("plugin = \"simple\"\ntrust = [\"{KEY}\"]"),
    );
    assert_eq!(
        errors(folder.path(), &built_in),
        [
            "p.toml:10: authenticators.builtin.trust: has no effect: a built-in plugin is a part of the gateway, and has no signature of its own"
        ]
    );
}

#[test]
fn a_plugin_cannot_say_whom_to_trust_itself() {
    let folder = folder();
    let description = folder.path().join("plugins/described.toml");
    fs::write(description, format!("trust = [\"{KEY}\"]")).unwrap();
    for plugins in ["", &format!("trust = [\"{KEY}\"]")] {
        assert_eq!(
            errors(folder.path(), &text(plugins, "")),
            [
                "plugins/described.toml:1: trust: isn't allowed here, because the author of a plugin could name a key of his own: set it in [plugins]"
            ]
        );
    }
}

#[test]
fn what_decides_which_plugins_run_is_not_writable_for_everyone() {
    let folder = folder();
    let text = text("trust = [\"file:keys/vendor.pub\"]", "");
    for (path, wrong, right, expected) in [
        (
            "plugins",
            0o777,
            0o755,
            "p.toml:3: plugins.directory: plugins: is writable for every user (mode 0777); run: chmod o-w plugins; in \
             Kubernetes, use a folder inside of the volume",
        ),
        (
            "plugins/described.toml",
            0o666,
            0o644,
            "plugins/described.toml: is writable for every user (mode 0666); run: chmod o-w plugins/described.toml",
        ),
        (
            "keys/vendor.pub",
            0o646,
            0o644,
            "p.toml:4: plugins.trust[0]: keys/vendor.pub is writable for every user (mode 0646); run: chmod o-w \
             keys/vendor.pub",
        ),
    ] {
        let path = folder.path().join(path);
        fs::set_permissions(&path, Permissions::from_mode(wrong)).unwrap();
        assert_eq!(errors(folder.path(), &text), [expected]);
        fs::set_permissions(&path, Permissions::from_mode(right)).unwrap();
    }
    assert_eq!(errors(folder.path(), &text), [] as [&str; 0]);
}

#[test]
fn signatures_and_keys_are_watched_and_guarded_before_they_exist() {
    let folder = folder();
    let file = folder.path().join("p.toml");
    write(&file, &text("trust = [\"file:keys/vendor.pub\"]", ""), 0o644);
    let draft = Draft::read(&file, &Environment::from([]));
    assert_eq!(draft.errors, []);
    let watched = Vec::from_iter(draft.watched.iter().map(|(path, _)| path.clone()));
    let names = |paths: &[std::path::PathBuf]| {
        let inner = paths.iter().map(|path| path.strip_prefix(folder.path()).unwrap());
        Vec::from_iter(inner.map(|path| path.display().to_string()))
    };
    let guarded = [
        "keys/vendor.pub",
        "plugins",
        "plugins/described.toml",
        "plugins/described.wasm",
        "plugins/described.wasm.minisig",
        "plugins/dropped.toml",
        "plugins/dropped.wasm",
        "plugins/dropped.wasm.minisig",
        "x.wasm",
        "x.wasm.minisig",
    ];
    assert_eq!(names(&draft.guarded), guarded);
    assert!(guarded.iter().all(|name| names(&watched).contains(&(*name).to_owned())));
}

#[test]
fn another_key_in_the_same_file_is_a_change() {
    let folder = folder();
    let file = folder.path().join("p.toml");
    write(&file, &text("trust = [\"file:keys/vendor.pub\"]", ""), 0o644);
    let before = Draft::read(&file, &Environment::from([]));
    write(
        &folder.path().join("keys/vendor.pub"),
        &KEY.replace("RWQf", "RWQe"),
        0o644,
    );
    let after = Draft::read(&file, &Environment::from([]));
    assert_eq!(after.errors, []);
    assert_eq!(after.digests.changed_keys(&before.digests), ["plugins.trust"]);
}
