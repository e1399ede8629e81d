//! The path of a request, read once: what chooses the route is what the upstream gets. A path that two programs could
//! read differently is refused, because one of them would be the gateway and the other the upstream.

use std::fmt;

use percent_encoding::percent_decode_str;

/// An absolute path with one reading. It keeps the bytes as received, and compares by what they mean: `/%61` is `/a`.
#[derive(Clone, Debug, Eq)]
pub(crate) struct CanonicalPath {
    received: String,
    /// The path with its percent-encoding undone; none: there is none.
    decoded: Option<String>,
    /// The same, but with encoded slashes left as they are; none: there are none.
    slashes_kept: Option<String>,
}

impl CanonicalPath {
    /// Reads a path, without query.
    ///
    /// Refused are, encoded or not: dot segments (CVE-2026-42274), empty segments, backslashes, control characters;
    /// further encoded slashes (CVE-2026-42272), encodings that are broken, doubled or no UTF-8, and characters that
    /// RFC 3986 (section 3.3) forbids and servers read in different ways.
    pub(crate) fn parse(path: &str) -> Result<Self, PathError> {
        let parsed = Self::parse_with_encoded_slashes(path)?;
        match parsed.slashes_kept {
            None => Ok(parsed),
            Some(_) => Err(PathError::ENCODED_SLASH),
        }
    }

    /// Reads a path in which slashes may be encoded. It has several readings then, and none may have dot segments or
    /// empty ones, but for those between encoded slashes that follow each other, as in the name `tls%3A%2F%2Fhost`: some
    /// servers merge such slashes. Whoever takes it must look at [`Self::other_readings`] too.
    pub(crate) fn parse_with_encoded_slashes(path: &str) -> Result<Self, PathError> {
        if !path.starts_with('/') {
            return Err(PathError("the path doesn't begin with a slash"));
        }
        if path.contains(['\\', '#', '?']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PathError("the path has a character that must be percent-encoded"));
        }
        let decoded = if path.contains('%') { Some(decode(path)?) } else { None };
        let slashes_kept = keep_slashes(path);
        let parsed = Self {
            received: path.to_owned(),
            decoded,
            slashes_kept,
        };
        let names = |reading: &Self| !reading.segments().any(is_no_name);
        if names(&parsed) || parsed.with_slashes_merged().as_ref().is_some_and(names) {
            Ok(parsed)
        } else {
            Err(PathError("the path has an empty segment or a dot segment"))
        }
    }

    /// The path as received, byte for byte.
    pub(crate) fn as_str(&self) -> &str {
        &self.received
    }

    /// The path with its percent-encoding undone, that of slashes too.
    pub(crate) fn decoded(&self) -> &str {
        self.decoded.as_deref().unwrap_or(&self.received)
    }

    /// Whether a slash in it is encoded, so that servers disagree about its segments.
    pub(crate) fn has_encoded_slash(&self) -> bool {
        self.slashes_kept.is_some()
    }

    /// Whether `other` is this path or lies below it. Whole segments count, and a final slash of this path doesn't:
    /// `/api` and `/api/` cover `/api` and `/api/v1`, not `/apis`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let prefix = self.decoded().trim_end_matches('/');
        let rest = other.decoded().strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// How many segments it has, a final slash not counted: of two paths that cover a third, the deeper is nearer.
    pub(crate) fn depth(&self) -> usize {
        self.segments().count()
    }

    /// What a careless server would read, when that differs: it ends at an encoded `#` or `?` (GHSA-7rh7-c77v-6434),
    /// drops path parameters (`;x=1`), and drops dots and spaces at the end of a segment as file systems do.
    ///
    /// Such a path is a valid name, so it may pass, but only where both readings lead to the same route.
    pub(crate) fn loosely_read(&self) -> Option<Self> {
        let whole = self.decoded();
        let cut = whole.split(['#', '?']).next().unwrap_or(whole);
        let read = cut.split('/').map(loose).collect::<Vec<_>>().join("/");
        (read != whole).then(|| Self::plain(read))
    }

    /// Every way to read it but the first, in which encoded slashes are slashes: as a careless server would, with encoded
    /// slashes as a part of their segments, and with slashes that follow each other as one.
    pub(crate) fn other_readings(&self) -> impl Iterator<Item = Self> {
        let slashes_kept = self.slashes_kept.clone().map(Self::plain);
        let merged = self.with_slashes_merged();
        let loosely = [Some(self), slashes_kept.as_ref(), merged.as_ref()].map(|reading| reading?.loosely_read());
        loosely.into_iter().chain([slashes_kept, merged]).flatten()
    }

    /// The reading of a server that takes encoded slashes which follow each other for one; none: there are no such.
    fn with_slashes_merged(&self) -> Option<Self> {
        let mut kept = self.slashes_kept.clone()?;
        let before = kept.len();
        while kept.contains("%2F%2F") {
            kept = kept.replace("%2F%2F", "%2F");
        }
        (kept.len() < before).then(|| Self::plain(kept.replace("%2F", "/")))
    }

    /// A reading, which is as it stands.
    fn plain(reading: String) -> Self {
        Self {
            received: reading,
            decoded: None,
            slashes_kept: None,
        }
    }

    /// The segments between the first slash and a final one, with their percent-encoding undone.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        let path = self.decoded();
        let inner = path.strip_suffix('/').unwrap_or(path);
        inner.split('/').skip(1)
    }
}

impl PartialEq for CanonicalPath {
    fn eq(&self, other: &Self) -> bool {
        self.decoded() == other.decoded() && self.slashes_kept == other.slashes_kept
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.received)
    }
}

/// Why a path has no single reading. It doesn't repeat the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PathError(&'static str);

impl PathError {
    /// Servers disagree about whether it ends a segment.
    pub(crate) const ENCODED_SLASH: Self = Self("the path has an encoded slash");
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl std::error::Error for PathError {}

/// Undoes percent-encoding once, and refuses what would read differently if it were undone twice or not at all.
fn decode(path: &str) -> Result<String, PathError> {
    for (start, _) in path.match_indices('%') {
        let digits = path
            .get(start + 1..start + 3)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits {
            None => return Err(PathError("the path has a broken percent-encoding")),
            Some("5c" | "5C") => return Err(PathError("the path has an encoded backslash")),
            Some(_) => {}
        }
    }
    let Ok(decoded) = percent_decode_str(path).decode_utf8() else {
        return Err(PathError("the path is no UTF-8"));
    };
    if decoded.chars().any(char::is_control) {
        return Err(PathError("the path has a control character"));
    }
    // Looked for in what came out, as the digits may be encoded too: `%252%65` comes to `%2e`.
    let is_encoding =
        |after: &[u8]| matches!(after, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    if decoded.as_bytes().windows(3).any(is_encoding) {
        return Err(PathError("the path is percent-encoded twice"));
    }
    Ok(decoded.into_owned())
}

/// The path with its percent-encoding undone but for slashes; none: no slash is encoded.
fn keep_slashes(path: &str) -> Option<String> {
    let marked = path.replace("%2f", "%252F").replace("%2F", "%252F");
    (marked != path).then(|| percent_decode_str(&marked).decode_utf8_lossy().into_owned())
}

/// Whether a segment is empty or made of dots, also when it is cut at a decoded `#` or `?`: `..?x` climbs then. One
/// that begins with such a character is a name all the same.
fn is_no_name(segment: &str) -> bool {
    let cut = segment.split(['#', '?']).next().unwrap_or(segment);
    loose(cut).is_empty() && (!cut.is_empty() || cut == segment)
}

fn loose(segment: &str) -> &str {
    let name = segment.split(';').next().unwrap_or(segment);
    name.trim_end_matches(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::paths;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    #[test]
    fn a_path_with_one_reading_is_kept_byte_for_byte() {
        for received in ["open", "protected", "ambiguous"].into_iter().flat_map(paths) {
            assert_eq!(path(&received).as_str(), received);
        }
    }

    #[test]
    fn a_path_that_two_programs_could_read_differently_is_refused() {
        for refused in paths("refused") {
            assert!(CanonicalPath::parse(&refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn an_encoded_slash_has_two_readings_and_neither_may_climb() {
        for (text, kept) in [
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2fb/%63", "/a%2Fb/c"),
            ("/a%2F", "/a%2F"),
            ("/group%2Fproject/raw/%3F", "/group%2Fproject/raw/?"),
        ] {
            assert_eq!(CanonicalPath::parse(text), Err(PathError::ENCODED_SLASH), "{text}");
            let path = CanonicalPath::parse_with_encoded_slashes(text).unwrap();
            assert!(path.has_encoded_slash() && path.as_str() == text);
            assert!(path.other_readings().any(|reading| reading.as_str() == kept), "{text}");
        }
        for refused in [
            "/a%2F..",
            "/..%2fb",
            "/a%2F.%2Fb",
            "/a%2F%2F..",
            "/a%2F%2F%2e%2fb",
            "/%2Fa",
            "/%2F%2Fa",
            "/a%2F/b",
            "/a/%2F",
            "/a%2F%2F/b",
            "/a%2F%2F..;",
            "/a%2Fb//c",
            "/a%2F%2F//c",
            "/a%2F;x",
            "/a%252Fb",
            "/a%2F%5c",
        ] {
            assert!(CanonicalPath::parse_with_encoded_slashes(refused).is_err(), "{refused}");
        }
        assert_eq!(path("/a").other_readings().count(), 0);
    }

    #[test]
    fn slashes_that_follow_each_other_may_be_one_where_they_are_encoded() {
        for (text, expected) in [
            ("/a%2F%2Fb", &["/a%2F%2Fb", "/a/b"][..]),
            ("/a%2F%2f%2Fb/", &["/a%2F%2F%2Fb/", "/a/b/"]),
            ("/a%2F%2F", &["/a%2F%2F", "/a/"]),
            (
                "/x/tls%3A%2F%2F[::1]:1.html",
                &["/x/tls:%2F%2F[::1]:1.html", "/x/tls:/[::1]:1.html"],
            ),
            ("/a;v%2F%2Fb", &["/a//b", "/a", "/a/b", "/a;v%2F%2Fb", "/a;v/b"]),
        ] {
            let text = text.replace('[', "%5B").replace(']', "%5D");
            let path = CanonicalPath::parse_with_encoded_slashes(&text).unwrap();
            let readings = Vec::from_iter(path.other_readings().map(|reading| reading.as_str().to_owned()));
            assert_eq!(readings, expected, "{text}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn a_prefix_covers_whole_segments_in_every_spelling() {
        for (prefix, covered) in [
            ("/", "/"), ("/", "/a"), ("/api", "/api"), ("/api", "/api/"), ("/api", "/api/v1"), ("/api/", "/api"),
            ("/api/", "/api/v1"), ("/api", "/%61pi"), ("/%61pi", "/api/x"), ("/m%C3%BCller", "/m%c3%bcller/x"),
        ] {
            assert!(path(prefix).covers(&path(covered)), "{prefix} {covered}");
        }
        for (prefix, other) in [("/api", "/apis"), ("/api", "/ap"), ("/api", "/"), ("/api", "/API"), ("/a/b", "/a")] {
            assert!(!path(prefix).covers(&path(other)), "{prefix} {other}");
        }
    }

    #[test]
    fn a_deeper_path_has_more_segments() {
        for (text, depth) in [("/", 0), ("/a", 1), ("/a/", 1), ("/a/b", 2), ("/a/b/c/", 3)] {
            assert_eq!(path(text).depth(), depth, "{text}");
        }
    }

    #[test]
    fn what_a_careless_server_would_read_is_known() {
        for (text, read) in [
            ("/admin;x=1/a", "/admin/a"),
            ("/admin%3bx/a", "/admin/a"),
            ("/admin%23/a", "/admin"),
            ("/admin%3F/a", "/admin"),
            ("/%23room", "/"),
            ("/admin./a", "/admin/a"),
            ("/admin%20.", "/admin"),
        ] {
            assert_eq!(path(text).loosely_read().unwrap().as_str(), read, "{text}");
        }
        for text in paths("ambiguous") {
            assert_ne!(path(&text).loosely_read(), None, "{text}");
        }
        for text in ["/", "/a", "/a/", "/%61", "/m%C3%BCller", "/.hidden"] {
            assert_eq!(path(text).loosely_read(), None, "{text}");
        }
    }
}
