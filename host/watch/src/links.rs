//! Where a path leads. Every symbolic link on the way is a place whose change can change what the path leads to.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// The way from a path to its file or folder. The paths in it have no link in their folders, only their last component
/// may be one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Route {
    /// The links on the way, at most `MOST_LINKS`, then the file or folder itself if its folder exists.
    pub(crate) places: Vec<PathBuf>,
    /// The first component that doesn't exist, if others follow it. `None` if every folder on the way exists.
    pub(crate) gap: Option<PathBuf>,
    /// The folder that the path leads to. `None` for a file, and if nothing is there.
    pub(crate) folder: Option<PathBuf>,
}

impl Route {
    /// Follows a path. This blocks.
    pub(crate) fn of(path: &Path) -> Self {
        let mut route = Self::default();
        let Ok(path) = std::path::absolute(path) else {
            return route;
        };
        let mut links = 0;
        let mut at = PathBuf::new();
        let mut rest = Vec::new();
        push_reversed(&mut rest, &path);
        while let Some(step) = rest.pop() {
            let next = match step {
                Step::Root(root) => {
                    at.push(root);
                    continue;
                }
                Step::Parent => {
                    at.pop();
                    continue;
                }
                Step::Name(name) => at.join(name),
            };
            let kind = fs::symlink_metadata(&next).map(|metadata| metadata.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => {
                    at = next;
                    continue;
                }
                Ok(kind) if kind.is_symlink() && links < MOST_LINKS => {
                    if let Ok(target) = fs::read_link(&next) {
                        links += 1;
                        push_reversed(&mut rest, &target);
                        route.places.push(next);
                        continue;
                    }
                }
                Ok(_) | Err(_) => {}
            }
            match rest.is_empty() {
                true => route.places.push(next),
                false => route.gap = Some(next),
            }
            return route;
        }
        route.places.push(at.clone());
        route.folder = Some(at);
        route
    }
}

/// Linux follows as many.
const MOST_LINKS: usize = 40;

/// One component of a path.
enum Step {
    /// The rest begins anew, at a root or at a drive of Windows.
    Root(OsString),
    Parent,
    Name(OsString),
}

/// Adds the components of a path so that the first is taken first.
fn push_reversed(rest: &mut Vec<Step>, path: &Path) {
    rest.extend(path.components().rev().filter_map(|component| match component {
        Component::Prefix(_) | Component::RootDir => Some(Step::Root(component.as_os_str().to_owned())),
        Component::CurDir => None,
        Component::ParentDir => Some(Step::Parent),
        Component::Normal(name) => Some(Step::Name(OsStr::to_owned(name))),
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The parts of a route, relative to the folder in which it is.
    fn parts(root: &Path, path: &str) -> (Vec<String>, Option<String>, Option<String>) {
        let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let route = Route::of(&root.join(path));
        (
            route.places.iter().map(relative).collect(),
            route.gap.as_ref().map(relative),
            route.folder.as_ref().map(relative),
        )
    }

    #[test]
    fn every_link_on_the_way_is_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["x/..2024", "live/a", "archive/a"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["x/..2024/p.toml", "archive/a/cert3.pem"] {
            fs::write(root.join(name), "").unwrap();
        }
        for (target, link) in [
            ("..2024", "x/..data"),
            ("..data/p.toml", "x/p.toml"),
            ("../../archive/a/cert3.pem", "live/a/cert.pem"),
            ("loop", "loop"),
            ("nowhere/file", "dangling"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("x"), root.join("absolute")).unwrap();
        for (path, places, gap, end) in [
            ("x/p.toml", &["x/p.toml", "x/..data", "x/..2024/p.toml"][..], None, None),
            (
                "live/a/cert.pem",
                &["live/a/cert.pem", "archive/a/cert3.pem"],
                None,
                None,
            ),
            ("absolute", &["absolute", "x"], None, Some("x")),
            ("absolute/new", &["absolute", "x/new"], None, None),
            ("x/..2024", &["x/..2024"], None, Some("x/..2024")),
            ("missing", &["missing"], None, None),
            ("a/b/c", &[], Some("a"), None),
            (
                "x/p.toml/below",
                &["x/p.toml", "x/..data"],
                Some("x/..2024/p.toml"),
                None,
            ),
            ("dangling", &["dangling"], Some("nowhere"), None),
        ] {
            let found = parts(&root, path);
            assert_eq!(found.0, places, "{path}");
            assert_eq!((found.1.as_deref(), found.2.as_deref()), (gap, end), "{path}");
        }
        assert_eq!(parts(&root, "loop").0, vec!["loop"; MOST_LINKS + 1]);
    }

    #[test]
    fn the_root_is_a_folder() {
        assert_eq!(Route::of(Path::new("/")).folder, Some(PathBuf::from("/")));
    }
}
