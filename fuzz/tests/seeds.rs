//! What once broke a parser doesn't break it again: every target holds for each of its seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

macro_rules! programs {
    ($($name:literal)*) => {
        [$(($name, env!(concat!("CARGO_BIN_EXE_", $name)))),*]
    };
}

const PROGRAMS: [(&str, &str); 13] = programs! {
    "answers" "cookies" "credentials" "forwarded" "framing" "http_grant" "hub_answer" "jwks" "jwt" "jwt_settings"
    "path" "proxy_protocol" "session"
};

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    files(folder)
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_target_holds_for_its_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, program) in PROGRAMS {
        let seeds = files(&root.join("seeds").join(name));
        assert!(!seeds.is_empty(), "{name} has no seeds");
        let ran = Command::new(program).args(seeds).output().unwrap();
        assert!(
            ran.status.success(),
            "{name}:\n{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

#[test]
fn every_target_and_every_folder_of_seeds_is_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = PROGRAMS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names(&root.join("targets")), listed);
    assert_eq!(names(&root.join("seeds")), listed);
}
