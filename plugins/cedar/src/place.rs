//! Paths as entities. The path `/api/v1/x` is in `/api/v1`, in `/api` and in `/`.

use std::collections::BTreeSet;

use portcullis_path::CanonicalPath;

/// All that a path may mean to an upstream, usually one: decoded, without a slash at the end. The error says why it means
/// nothing.
pub(crate) fn readings(path: &str) -> Result<BTreeSet<String>, String> {
    let path = CanonicalPath::of_request(path).map_err(|error| error.to_string())?;
    let others = path.other_readings().map(|reading| tidy(reading.decoded()));
    Ok(std::iter::once(tidy(path.decoded())).chain(others).collect())
}

/// A path without empty segments, also at its end.
pub(crate) fn tidy(path: &str) -> String {
    let mut tidy = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        tidy.push('/');
        tidy.push_str(segment);
    }
    if tidy.is_empty() { "/".to_owned() } else { tidy }
}

/// The paths above a tidy one.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let root = (path != "/").then_some("/");
    let above = path.match_indices('/').skip(1).filter_map(|(end, _)| path.get(..end));
    root.into_iter().chain(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_the_paths_above_it() {
        for (path, expected) in [
            ("/", &[] as &[&str]),
            ("/a", &["/"]),
            ("/a/b", &["/", "/a"]),
            ("/a/b/c", &["/", "/a", "/a/b"]),
        ] {
            assert_eq!(Vec::from_iter(ancestors(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_path_has_all_that_it_may_mean() {
        for (path, expected) in [
            ("/", &["/"] as &[&str]),
            ("/a/b/", &["/a/b"]),
            ("/%61%C3%A9", &["/a\u{e9}"]),
            ("/a%2Fb", &["/a%2Fb", "/a/b"]),
            ("/a;x=1/b", &["/a/b", "/a;x=1/b"]),
            ("/a%3Fb/c", &["/a", "/a?b/c"]),
        ] {
            let readings = readings(path).unwrap();
            assert_eq!(Vec::from_iter(&readings), expected, "{path}");
        }
        assert!(readings("/a\\b").is_err());
    }

    #[test]
    fn no_reading_of_an_irregular_path_is_left_out() {
        let readings = readings("/public/../admin").unwrap();
        assert!(readings.contains("/admin"), "{readings:?}");
        assert!(readings.contains("/public/../admin"), "{readings:?}");
    }
}
