//! A table of changes.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::UNIX_EPOCH;

use tokio::task::JoinSet;

use super::scene::BOTH;
use super::scene::Scene;
use super::scene::within_deadline;

/// Writes a file that isn't watched, and moves it to its place.
fn replace(path: &Path, content: &str) {
    let temporary = path.with_file_name(".temporary");
    fs::write(&temporary, content).unwrap();
    fs::rename(&temporary, path).unwrap();
}

/// Makes a link lead to `target`, as `ln -sfn` does.
fn relink(target: &str, link: &Path) {
    let temporary = link.with_file_name(".temporary");
    symlink(target, &temporary).unwrap();
    fs::rename(&temporary, link).unwrap();
}

/// Writes the files of a mounted `ConfigMap` as Kubernetes does.
fn mount(root: &Path, version: &str) {
    let folder = root.join(format!("..{version}"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("p.toml"), "same length").unwrap();
    let data = root.join("..data");
    let before = fs::read_link(&data);
    relink(&format!("..{version}"), &data);
    match before {
        Ok(before) => fs::remove_dir_all(root.join(before)).unwrap(),
        Err(_) => symlink("..data/p.toml", root.join("p.toml")).unwrap(),
    }
}

/// A name, what is watched, what is there before, and what happens to it.
type Case = (&'static str, &'static [&'static str], fn(&Path), fn(&Path));

const CASES: &[Case] = &[
    (
        "a file is overwritten",
        &["file"],
        |root| fs::write(root.join("file"), "a").unwrap(),
        |root| fs::write(root.join("file"), "b").unwrap(),
    ),
    (
        "a file is replaced",
        &["other", "file"],
        |root| fs::write(root.join("file"), "a").unwrap(),
        |root| replace(&root.join("file"), "b"),
    ),
    (
        "a file is removed",
        &["file"],
        |root| fs::write(root.join("file"), "").unwrap(),
        |root| fs::remove_file(root.join("file")).unwrap(),
    ),
    (
        "a file is created",
        &["file"],
        |_| {},
        |root| fs::write(root.join("file"), "").unwrap(),
    ),
    (
        "a hidden file is created",
        &[".file"],
        |_| {},
        |root| fs::write(root.join(".file"), "").unwrap(),
    ),
    (
        "permissions change",
        &["file"],
        |root| fs::write(root.join("file"), "").unwrap(),
        |root| fs::set_permissions(root.join("file"), Permissions::from_mode(0o600)).unwrap(),
    ),
    (
        "an old file is moved here",
        &["file"],
        |root| {
            let file = File::create(root.join("old")).unwrap();
            file.set_modified(UNIX_EPOCH).unwrap();
        },
        |root| fs::rename(root.join("old"), root.join("file")).unwrap(),
    ),
    (
        "a link leads to another file",
        &["live/cert"],
        |root| {
            for folder in ["live", "archive"] {
                fs::create_dir(root.join(folder)).unwrap();
            }
            fs::write(root.join("archive/1"), "").unwrap();
            fs::write(root.join("archive/2"), "").unwrap();
            symlink("../archive/1", root.join("live/cert")).unwrap();
        },
        |root| relink("../archive/2", &root.join("live/cert")),
    ),
    (
        "a link to a file that changes",
        &["live/cert"],
        |root| {
            for folder in ["live", "archive"] {
                fs::create_dir(root.join(folder)).unwrap();
            }
            fs::write(root.join("archive/1"), "").unwrap();
            symlink("../archive/1", root.join("live/cert")).unwrap();
        },
        |root| fs::write(root.join("archive/1"), "changed").unwrap(),
    ),
    (
        "a folder on the way is a link that leads elsewhere",
        &["current/file"],
        |root| {
            for folder in ["releases/1", "releases/2"] {
                fs::create_dir_all(root.join(folder)).unwrap();
                fs::write(root.join(folder).join("file"), "").unwrap();
            }
            symlink("releases/1", root.join("current")).unwrap();
        },
        |root| relink("releases/2", &root.join("current")),
    ),
    (
        "Kubernetes mounts another version",
        &["p.toml"],
        |root| mount(root, "1"),
        |root| mount(root, "2"),
    ),
    (
        "a file is added to a folder",
        &["folder"],
        |root| fs::create_dir(root.join("folder")).unwrap(),
        |root| fs::write(root.join("folder/entry"), "").unwrap(),
    ),
    (
        "a file is moved into a folder",
        &["link"],
        |root| {
            fs::create_dir(root.join("folder")).unwrap();
            symlink("folder", root.join("link")).unwrap();
        },
        |root| replace(&root.join("folder/entry"), ""),
    ),
    (
        "a link is added to a folder",
        &["folder"],
        |root| fs::create_dir(root.join("folder")).unwrap(),
        |root| symlink("nowhere", root.join("folder/entry")).unwrap(),
    ),
    (
        "a file is removed from a folder",
        &["folder"],
        |root| {
            fs::create_dir(root.join("folder")).unwrap();
            fs::write(root.join("folder/entry"), "").unwrap();
        },
        |root| fs::remove_file(root.join("folder/entry")).unwrap(),
    ),
    (
        "a folder is created where another one is missing, too",
        &["parent/folder"],
        |_| {},
        |root| fs::create_dir_all(root.join("parent/folder")).unwrap(),
    ),
    (
        "a folder is moved away",
        &["parent/file"],
        |root| {
            fs::create_dir(root.join("parent")).unwrap();
            fs::write(root.join("parent/file"), "").unwrap();
        },
        |root| fs::rename(root.join("parent"), root.join("elsewhere")).unwrap(),
    ),
];

#[tokio::test]
async fn a_change_is_seen_once() {
    let mut cases = JoinSet::new();
    for by in BOTH {
        for (name, watched, before, change) in CASES {
            cases.spawn(async move {
                let mut scene = Scene::new(by);
                before(scene.root.path());
                scene.watch_now(watched).await;
                change(scene.root.path());
                let is_seen = within_deadline(scene.watcher.changed()).await;
                assert!(is_seen, "{name}, by {by:?}");
                scene.assert_unchanged().await;
            });
        }
    }
    cases.join_all().await;
}
