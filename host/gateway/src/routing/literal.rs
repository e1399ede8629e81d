//! Paths in a configuration that are taken literally. Other programs take patterns at such places, and a pattern that is
//! taken literally matches nothing: the route that should protect a path would be skipped.

use std::fmt;

/// What looks like a pattern in a path that is taken literally.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LooksLikePattern {
    /// The characters by which it looks like one.
    found: String,
    /// The path in front of the first segment that looks like a pattern.
    prefix: String,
}

impl LooksLikePattern {
    /// The longest prefix of the path that has no pattern.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for LooksLikePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, .. } = self;
        write!(f, "{found:?} looks like a pattern, but a path is taken literally here")?;
        if let [byte] = found.as_bytes() {
            write!(f, " (write %{byte:02X} for the character itself)")?;
        }
        Ok(())
    }
}

/// Checks that a path, as it is written in a configuration, has nothing by which people write patterns: `*`, `{x}`, `:x`,
/// `<x>`, `[a-z]`, `(a|b)`, `^`, `$` or a segment of dots. A character that is percent-encoded is literal.
pub(crate) fn check(path: &str) -> Result<(), LooksLikePattern> {
    let mut prefix = String::new();
    for segment in path.split('/').skip(1) {
        if let Some(found) = pattern_in(segment) {
            return Err(LooksLikePattern {
                found,
                prefix: if prefix.is_empty() { "/".to_owned() } else { prefix },
            });
        }
        prefix.push('/');
        prefix.push_str(segment);
    }
    Ok(())
}

fn pattern_in(segment: &str) -> Option<String> {
    let is_dots = segment.len() > 2 && segment.bytes().all(|byte| byte == b'.');
    if is_dots {
        return Some(segment.to_owned());
    }
    if segment.len() > 1 && segment.starts_with(':') {
        return Some(":".to_owned());
    }
    let found = segment.find(PATTERN_CHARACTERS)?;
    segment.get(found..=found).map(str::to_owned)
}

const PATTERN_CHARACTERS: [char; 12] = ['*', '{', '}', '^', '$', '(', ')', '|', '[', ']', '<', '>'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_where_they_begin() {
        for (path, found, prefix) in [
            ("/admin/*", "*", "/admin"),
            ("/*", "*", "/"),
            ("/**", "*", "/"),
            ("/a/b*", "*", "/a"),
            ("/users/{id}/x", "{", "/users"),
            ("/users/:id", ":", "/users"),
            ("/users/<int:id>", "<", "/users"),
            ("/^admin", "^", "/"),
            ("/admin$", "$", "/"),
            ("/admin/.*", "*", "/admin"),
            ("/admin/(.+)", "(", "/admin"),
            ("/(a|b)", "(", "/"),
            ("/v[12]", "[", "/"),
            ("/admin/...", "...", "/admin"),
        ] {
            let complaint = check(path).unwrap_err();
            assert_eq!(
                (complaint.found.as_str(), complaint.prefix()),
                (found, prefix),
                "{path}"
            );
        }
    }

    #[test]
    fn a_literal_path_may_have_any_other_character() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/%2A",
            "/a:b",
            "/c++",
            "/a@b/!x,y;z=1",
            "/a.b/.c",
            "/~alice",
            "/:",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn the_complaint_says_how_to_write_the_character() {
        assert_eq!(
            check("/a/*").unwrap_err().to_string(),
            "\"*\" looks like a pattern, but a path is taken literally here (write %2A for the character itself)"
        );
    }
}
