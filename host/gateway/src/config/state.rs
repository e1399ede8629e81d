//! `state`: the folder where the gateway keeps what must outlast a restart: the key of sessions that it has made, and which
//! sessions are over.

use std::path::Path;
use std::path::PathBuf;

use portcullis_loader::config::document::Environment;
use portcullis_loader::config::reader::Item;

/// The folder, and whether this command may write to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateConfig {
    /// The folder, which may not exist yet. `None` if the environment names none.
    pub(crate) folder: Option<PathBuf>,
    /// Whether files are made and changed there. Only the command that serves does so.
    pub(crate) is_kept: bool,
}

impl StateConfig {
    pub(super) fn read(item: Option<Item<'_>>, environment: &Environment) -> Self {
        let configured = item.and_then(|item| {
            let document = item.place.document();
            item.text().map(|path| document.path(&path))
        });
        Self {
            folder: configured.or_else(|| {
                let is_root = rustix::process::geteuid().is_root();
                default_folder(|name| environment.variable(name), is_root)
            }),
            is_kept: false,
        }
    }
}

/// The folder that systemd has made (`StateDirectory=`), or that of the Filesystem Hierarchy Standard for root, or that of the XDG
/// Base Directory Specification, which says that relative paths are ignored.
fn default_folder<'e>(value: impl Fn(&str) -> Option<&'e str>, is_root: bool) -> Option<PathBuf> {
    let absolute = |path: &str| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let variable = |name| value(name).and_then(absolute);
    // systemd lists several with colons between them.
    let listed = value("STATE_DIRECTORY").and_then(|list| list.split(':').next());
    if let Some(folder) = listed.and_then(absolute) {
        return Some(folder);
    }
    if is_root {
        return Some(Path::new("/var/lib/portcullis").to_owned());
    }
    let home = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    home.map(|home| home.join("portcullis"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_the_system_keeps_state() {
        for (variables, is_root, expected) in [
            (&[][..], true, Some("/var/lib/portcullis")),
            (&[], false, None),
            (&[("HOME", "/home/a")], false, Some("/home/a/.local/state/portcullis")),
            (&[("HOME", "/root")], true, Some("/var/lib/portcullis")),
            (
                &[("HOME", "/home/a"), ("XDG_STATE_HOME", "/s")],
                false,
                Some("/s/portcullis"),
            ),
            (
                &[("HOME", "/h"), ("XDG_STATE_HOME", "s")],
                false,
                Some("/h/.local/state/portcullis"),
            ),
            (
                &[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")],
                true,
                Some("/var/lib/a"),
            ),
            (
                &[("STATE_DIRECTORY", "a"), ("HOME", "/h")],
                false,
                Some("/h/.local/state/portcullis"),
            ),
        ] {
            let value = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            let folder = default_folder(value, is_root);
            assert_eq!(folder.as_deref(), expected.map(Path::new), "{variables:?} {is_root}");
        }
    }
}
