//! The path of a request. It is read once: the same path chooses the route and is sent to the upstream, so a path that
//! two programs could read differently is rejected.

mod readings;

use std::fmt;

use percent_encoding::percent_decode_str;

/// An absolute path with one reading. It keeps the bytes as received, but compares their meaning: `/%61` equals `/a`.
#[derive(Clone, Debug, Eq)]
pub struct CanonicalPath {
    received: String,
    /// The path after percent-decoding. `None` if nothing is encoded.
    decoded: Option<String>,
    /// The same, but with encoded slashes left as they are. `None` if no slash is encoded.
    slashes_kept: Option<String>,
    /// `None` for a path that is accepted everywhere.
    irregular: Option<Irregular>,
}

/// What is known about a path that programs read in different ways.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Irregular {
    error: PathError,
    readings: Vec<String>,
}

impl CanonicalPath {
    /// Parses the path of a request. Unlike the other functions it accepts an [irregular](Self::irregularity) path.
    pub fn of_request(path: &str) -> Result<Self, PathError> {
        let error = match Self::parse_with_encoded_slashes(path) {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        let is_sendable = path.starts_with('/')
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && !path.contains(['\\', '#', '?']);
        if !is_sendable || path.len() > MAX_IRREGULAR {
            return Err(error);
        }
        let readings = readings::of(path).ok_or(error)?;
        Ok(Self {
            received: path.to_owned(),
            decoded: None,
            slashes_kept: None,
            irregular: Some(Irregular { error, readings }),
        })
    }

    /// Why programs read the path in different ways, so that it may pass only where all of them lead to the same place.
    /// `None` if they agree, but for what [`Self::other_readings`] says.
    pub fn irregularity(&self) -> Option<PathError> {
        self.irregular.as_ref().map(|irregular| irregular.error)
    }

    /// Parses a path without a query.
    ///
    /// Rejects, encoded or not: dot segments (CVE-2026-42274), empty segments, backslashes and control characters. Also
    /// rejects encoded slashes (CVE-2026-42272), encodings that are broken, doubled or not UTF-8, and characters that
    /// RFC 3986 (section 3.3) forbids and that servers read differently.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let parsed = Self::parse_with_encoded_slashes(path)?;
        match parsed.slashes_kept {
            None => Ok(parsed),
            Some(_) => Err(PathError::ENCODED_SLASH),
        }
    }

    /// Parses a path in which slashes may be encoded. Such a path has several readings, so callers must check
    /// [`Self::other_readings`], too.
    ///
    /// No reading may have a dot segment or an empty segment. Consecutive encoded slashes are allowed, as in the name
    /// `tls%3A%2F%2Fhost`, because some servers merge them.
    pub fn parse_with_encoded_slashes(path: &str) -> Result<Self, PathError> {
        if !path.starts_with('/') {
            return Err(PathError("the path doesn't begin with a slash"));
        }
        if path.contains(['\\', '#', '?']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PathError("the path has a character that must be percent-encoded"));
        }
        let (decoded, slashes_kept) = if path.contains('%') {
            (Some(decode(path)?), keep_slashes(path))
        } else {
            (None, None)
        };
        let parsed = Self {
            received: path.to_owned(),
            decoded,
            slashes_kept,
            irregular: None,
        };
        let is_valid = |reading: &Self| !reading.segments().any(is_empty_or_dots);
        if is_valid(&parsed) || parsed.with_slashes_merged().as_ref().is_some_and(is_valid) {
            Ok(parsed)
        } else {
            Err(PathError("the path has an empty segment or a dot segment"))
        }
    }

    /// The path as received, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.received
    }

    /// The path after percent-decoding, including slashes.
    pub fn decoded(&self) -> &str {
        self.decoded.as_deref().unwrap_or(&self.received)
    }

    /// Whether a slash is encoded, so that servers disagree about the segments.
    pub fn has_encoded_slash(&self) -> bool {
        self.slashes_kept.is_some()
    }

    /// Whether `other` is this path or a path below it, compared by whole segments. A final slash of this path is
    /// ignored: `/api` and `/api/` cover `/api` and `/api/v1`, but not `/apis`.
    pub fn covers(&self, other: &Self) -> bool {
        let prefix = self.decoded().trim_end_matches('/');
        let rest = other.decoded().strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The number of segments, ignoring a final slash. Of two paths that cover a third one, the deeper is more
    /// specific.
    pub fn depth(&self) -> usize {
        self.segments().count()
    }

    /// The reading of a lenient server. `None` if it is the same.
    ///
    /// A lenient server ends the path at an encoded `#` or `?` (GHSA-7rh7-c77v-6434), drops path parameters (`;x=1`),
    /// and drops dots and spaces at the end of a segment, as file systems do. Such a path is valid, so it may pass, but
    /// only if both readings lead to the same route.
    pub fn lenient_reading(&self) -> Option<Self> {
        let whole = self.decoded();
        let cut = cut(whole);
        let is_same = |segment: &str| lenient(segment).len() == segment.len();
        if cut.len() == whole.len() && whole.split('/').all(is_same) {
            return None;
        }
        Some(Self::plain(cut.split('/').map(lenient).collect::<Vec<_>>().join("/")))
    }

    /// All readings except the first one, in which encoded slashes are slashes. The others are: encoded slashes as part
    /// of their segment, consecutive encoded slashes as one, and the reading of a lenient server in all three cases. An
    /// irregular path has many more.
    pub fn other_readings(&self) -> impl Iterator<Item = Self> {
        let irregular = self.irregular.iter().flat_map(|irregular| &irregular.readings);
        let irregular = irregular.map(|reading| Self::plain(reading.clone()));
        let slashes_kept = self.slashes_kept.clone().map(Self::plain);
        let merged = self.with_slashes_merged();
        let lenient = [Some(self), slashes_kept.as_ref(), merged.as_ref()].map(|reading| reading?.lenient_reading());
        lenient
            .into_iter()
            .chain([slashes_kept, merged])
            .flatten()
            .chain(irregular)
    }

    /// The reading of a server that merges consecutive encoded slashes. `None` if there are none.
    fn with_slashes_merged(&self) -> Option<Self> {
        let mut kept = self.slashes_kept.clone()?;
        let before = kept.len();
        while kept.contains("%2F%2F") {
            kept = kept.replace("%2F%2F", "%2F");
        }
        (kept.len() < before).then(|| Self::plain(kept.replace("%2F", "/")))
    }

    /// A reading, in which nothing is encoded.
    fn plain(reading: String) -> Self {
        Self {
            received: reading,
            decoded: None,
            slashes_kept: None,
            irregular: None,
        }
    }

    /// The percent-decoded segments, without the empty one after a final slash.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let path = self.decoded();
        let inner = path.strip_suffix('/').unwrap_or(path);
        inner.split('/').skip(1)
    }
}

impl PartialEq for CanonicalPath {
    fn eq(&self, other: &Self) -> bool {
        self.decoded() == other.decoded()
            && self.slashes_kept == other.slashes_kept
            && self.irregular == other.irregular
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.received)
    }
}

/// Why a path is rejected. The text doesn't contain the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PathError(&'static str);

impl PathError {
    /// Servers disagree about whether an encoded slash ends a segment.
    pub const ENCODED_SLASH: Self = Self("the path has an encoded slash");
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl std::error::Error for PathError {}

/// The longest irregular path. Finding its readings takes time.
const MAX_IRREGULAR: usize = 4096;

/// Decodes percent-encoding once. Rejects paths that would read differently if they were decoded twice, or not at all.
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
        return Err(PathError("the path is not UTF-8"));
    };
    if decoded.chars().any(char::is_control) {
        return Err(PathError("the path has a control character"));
    }
    // Checked after decoding, because the digits may be encoded, too: `%252%65` decodes to `%2e`.
    let is_encoding =
        |after: &[u8]| matches!(after, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    if decoded.as_bytes().windows(3).any(is_encoding) {
        return Err(PathError("the path is percent-encoded twice"));
    }
    Ok(decoded.into_owned())
}

/// The path after percent-decoding, except for slashes. `None` if no slash is encoded.
fn keep_slashes(path: &str) -> Option<String> {
    let marked = path.replace("%2f", "%252F").replace("%2F", "%252F");
    (marked != path).then(|| percent_decode_str(&marked).decode_utf8_lossy().into_owned())
}

/// Whether a segment is empty or consists of dots, also if a server cuts it at a decoded `#` or `?`, as in `..?x`. A
/// segment that begins with such a character is valid.
fn is_empty_or_dots(segment: &str) -> bool {
    let cut = cut(segment);
    lenient(cut).is_empty() && (!cut.is_empty() || cut == segment)
}

/// What is left if a server ends it at a decoded `#` or `?`.
fn cut(text: &str) -> &str {
    text.split(['#', '?']).next().unwrap_or(text)
}

fn lenient(segment: &str) -> &str {
    let name = segment.split(';').next().unwrap_or(segment);
    name.trim_end_matches(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One list of `tests/data/paths.json`, which the gateway's tests and the end-to-end tests read, too.
    fn paths(list: &str) -> Vec<String> {
        let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/paths.json"));
        let table: serde_json::Value = serde_json::from_str(table).unwrap();
        let lists = match table.get(list).unwrap() {
            serde_json::Value::Object(kinds) => kinds.values().cloned().collect(),
            other => vec![other.clone()],
        };
        let paths = lists.into_iter().map(serde_json::from_value::<Vec<String>>);
        paths.flat_map(Result::unwrap).collect()
    }

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    #[test]
    fn an_unambiguous_path_is_kept_byte_for_byte() {
        for received in ["open", "protected", "ambiguous"].into_iter().flat_map(paths) {
            assert_eq!(path(&received).as_str(), received);
            assert_eq!(path(&received).to_string(), received);
        }
    }

    #[test]
    fn an_ambiguous_path_is_rejected() {
        for refused in paths("refused") {
            assert!(CanonicalPath::parse(&refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn an_irregular_path_is_read_with_all_its_readings() {
        for text in paths("refused") {
            let is_sendable = text.starts_with('/')
                && text.bytes().all(|byte| byte.is_ascii_graphic())
                && !text.contains(['\\', '#', '?']);
            let Ok(path) = CanonicalPath::of_request(&text) else {
                assert!(!is_sendable, "{text:?}");
                continue;
            };
            assert!(is_sendable, "{text:?}");
            assert_eq!(path.as_str(), text);
            let encoded_slashes_alone = CanonicalPath::parse_with_encoded_slashes(&text).is_ok();
            assert_eq!(
                path.irregularity(),
                CanonicalPath::parse(&text).err().filter(|_| !encoded_slashes_alone)
            );
            if !encoded_slashes_alone {
                let readings = Vec::from_iter(path.other_readings().map(|reading| reading.received));
                assert!(
                    readings::of(&text)
                        .unwrap()
                        .iter()
                        .all(|reading| readings.contains(reading)),
                    "{text:?}"
                );
            }
        }
        for text in ["/a//b", "/a/../b", "/%F6", "/%zz", "/a%5cb"] {
            assert!(
                CanonicalPath::of_request(text).unwrap().irregularity().is_some(),
                "{text}"
            );
        }
        for text in [
            "a//b", "//a b", "//a\\b", "//a?b", "//a#b", "//\u{7f}", "//\u{e4}", "*", "",
        ] {
            assert!(CanonicalPath::of_request(text).is_err(), "{text:?}");
        }
        let long = |length: usize| format!("//{}", "a".repeat(length - 2));
        assert!(CanonicalPath::of_request(&long(4096)).is_ok());
        assert!(CanonicalPath::of_request(&long(4097)).is_err());
    }

    #[test]
    fn paths_are_equal_if_all_their_readings_are() {
        let of = |text| CanonicalPath::of_request(text).unwrap();
        for (one, other, equal) in [
            ("/a", "/%61", true),
            ("/a", "/b", false),
            ("/a%2Fb", "/%61%2fb", true),
            ("/a%2Fb", "/a/b", false),
            ("/a%2Fb%2Fc", "/a%2Fb/c", false),
            ("/a//b", "/a//b", true),
            ("/a//b", "/a//c", false),
        ] {
            assert_eq!(of(one) == of(other), equal, "{one} {other}");
        }
    }

    #[test]
    fn an_encoded_slash_has_two_readings_without_dot_segments() {
        for (text, kept) in [
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2fb/%63", "/a%2Fb/c"),
            ("/a%2F", "/a%2F"),
            ("/group%2Fproject/raw/%3F", "/group%2Fproject/raw/?"),
        ] {
            let error = CanonicalPath::parse(text).unwrap_err();
            assert_eq!(error.to_string(), "the path has an encoded slash", "{text}");
            let path = CanonicalPath::parse_with_encoded_slashes(text).unwrap();
            assert!(path.has_encoded_slash() && path.as_str() == text);
            let lenient = path.lenient_reading().map(|reading| reading.received);
            let readings = Vec::from_iter(path.other_readings().map(|reading| reading.received));
            assert!(
                readings.contains(&kept.to_owned()) && !readings.contains(&path.decoded().to_owned()),
                "{text}"
            );
            assert_eq!(
                readings.len(),
                1 + 2 * usize::from(lenient.is_some()),
                "{text}: {readings:?}"
            );
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
        assert!(path("/a").other_readings().next().is_none() && !path("/a").has_encoded_slash());
    }

    #[test]
    fn consecutive_encoded_slashes_may_be_merged() {
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
    fn the_reading_of_a_lenient_server_is_known() {
        for (text, read) in [
            ("/admin;x=1/a", "/admin/a"),
            ("/admin%3bx/a", "/admin/a"),
            ("/admin%23/a", "/admin"),
            ("/admin%3F/a", "/admin"),
            ("/%23room", "/"),
            ("/admin./a", "/admin/a"),
            ("/admin%20.", "/admin"),
        ] {
            assert_eq!(path(text).lenient_reading().unwrap().as_str(), read, "{text}");
        }
        for text in paths("ambiguous") {
            assert_ne!(path(&text).lenient_reading(), None, "{text}");
        }
        for text in ["/", "/a", "/a/", "/%61", "/m%C3%BCller", "/.hidden"] {
            assert_eq!(path(text).lenient_reading(), None, "{text}");
        }
    }
}
