//! Who may write the files and folders that decide which plugins run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::testing::write;

#[test]
fn a_guarded_file_is_not_writable_for_every_user() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("a"), folder.path().join("link"));
    write(&file, "text", 0o644);
    symlink(&file, &link).unwrap();
    for (mode, expected) in [
        (0o644, None),
        (0o600, None),
        (0o664, None),
        (0o646, Some("0646")),
        (0o666, Some("0666")),
        (0o1666, Some("1666")),
        (0o602, Some("0602")),
    ] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for path in [&file, &link] {
            let read = read_guarded(path, 4);
            match expected {
                None => assert_eq!(read, Ok(b"text".to_vec()), "{mode:o}"),
                Some(shown) => {
                    let Err(Unreadable::Unguarded(why)) = read else {
                        panic!("{mode:o}: {read:?}")
                    };
                    let hint = format!("(mode {shown}); run: chmod o-w {}", path.display());
                    assert!(why.ends_with(&hint), "{why}");
                }
            }
        }
        assert_eq!(is_writable_for_group(&file), mode & 0o020 != 0);
    }
    write(&file, "text", 0o644);
    for (path, limit) in [(&file, 3), (&folder.path().join("gone"), 4)] {
        assert!(matches!(read_guarded(path, limit), Err(Unreadable::Broken(_))));
    }
}

#[test]
fn in_a_guarded_folder_not_every_user_may_rename_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, is_guarded) in [
        (0o755, true),
        (0o700, true),
        (0o775, true),
        (0o2775, true),
        (0o777, false),
        (0o2777, false),
        (0o1777, true),
        (0o3777, true),
        (0o703, false),
    ] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let required = require_guarded_folder(folder.path());
        assert_eq!(required.is_ok(), is_guarded, "{mode:o}: {required:?}");
    }
    assert_eq!(require_guarded_folder(&folder.path().join("gone")), Ok(()));
}

/// Only root can give a file to somebody else.
#[test]
fn what_belongs_to_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    write(&file, "text", 0o644);
    let nobody = 65534;
    if std::os::unix::fs::chown(&file, Some(nobody), None).is_err() {
        return;
    }
    let Err(Unreadable::Unguarded(why)) = read_guarded(&file, 4) else {
        panic!()
    };
    assert!(why.starts_with("belongs to the user with the number 65534, "), "{why}");
    std::os::unix::fs::chown(folder.path(), Some(nobody), None).unwrap();
    assert!(require_guarded_folder(folder.path()).is_err());
}
