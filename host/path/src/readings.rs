//! Every way in which some program reads a path. A path that isn't accepted as it is may still pass where all readings
//! lead to the same place.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

/// All readings of a path, the received one first. `None` if there are too many.
pub(super) fn of(received: &str) -> Option<Vec<String>> {
    at_most(MAX_READINGS, received)
}

fn at_most(most: usize, received: &str) -> Option<Vec<String>> {
    let mut known = BTreeSet::from([received.to_owned()]);
    let mut readings = vec![received.to_owned()];
    let mut next = 0;
    while let Some(reading) = readings.get(next).cloned() {
        for step in STEPS {
            let other = step(&reading);
            let other = if other.is_empty() { "/".to_owned() } else { other };
            if known.insert(other.clone()) {
                readings.push(other);
            }
        }
        if readings.len() > most {
            return None;
        }
        next += 1;
    }
    Some(readings)
}

/// What programs do with a path before they use it. Programs do several of these, in any order.
const STEPS: [fn(&str) -> String; 9] = [
    decode,
    decode_all_but_slashes,
    merge_slashes,
    backslashes_are_slashes,
    resolve_dot_segments,
    drop_parameters,
    trim_segments,
    cut_at_query_or_fragment,
    cut_at_control_character,
];

/// Decodes percent-encoding once.
fn decode(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn decode_all_but_slashes(path: &str) -> String {
    decode(&path.replace("%2f", "%252F").replace("%2F", "%252F"))
}

/// nginx, Go and most frameworks.
fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// IIS, and the URL standard of browsers.
fn backslashes_are_slashes(path: &str) -> String {
    path.replace('\\', "/")
}

/// RFC 3986, section 5.2.4. A dot segment that leads above the root stays there.
fn resolve_dot_segments(path: &str) -> String {
    let mut resolved: Vec<&str> = Vec::new();
    let mut ends_in_slash = path.ends_with('/');
    for segment in path.split('/').skip(1) {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "." => {}
            ".." => {
                resolved.pop();
            }
            segment => resolved.push(segment),
        }
    }
    if ends_in_slash && resolved.last().is_some_and(|last| !last.is_empty()) {
        resolved.push("");
    }
    format!("/{}", resolved.join("/"))
}

/// Servlet containers.
fn drop_parameters(path: &str) -> String {
    let name = |segment: &str| segment.split(';').next().unwrap_or(segment).to_owned();
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

/// Windows' file systems.
fn trim_segments(path: &str) -> String {
    let trim = |segment: &str| match segment {
        // These are dot segments.
        "." | ".." => segment.to_owned(),
        segment => segment.trim_end_matches(['.', ' ']).to_owned(),
    };
    path.split('/').map(trim).collect::<Vec<_>>().join("/")
}

fn cut_at_query_or_fragment(path: &str) -> String {
    path.split(['?', '#']).next().unwrap_or(path).to_owned()
}

/// Programs in C end a text at NUL.
fn cut_at_control_character(path: &str) -> String {
    path.split(char::is_control).next().unwrap_or(path).to_owned()
}

const MAX_READINGS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_may_read_is_among_the_readings() {
        for (received, read) in [
            ("/api/queues/%2F/q", "/api/queues///q"),
            ("/api/queues/%2F/q", "/api/queues/q"),
            ("/a%252Fb", "/a%2Fb"),
            ("/a%252Fb", "/a/b"),
            ("/a/%252e%252e/b", "/b"),
            ("//admin", "/admin"),
            ("/a/..%2fb", "/b"),
            ("/a/..%5cb", "/b"),
            ("/a/%5c..%5c../b", "/b"),
            ("/a/..;x/b", "/b"),
            ("/a/.../b", "/a/b"),
            ("/a/..%20/b", "/a/b"),
            ("/../../b", "/b"),
            ("/a/.", "/a/"),
            ("/a/x/..", "/a/"),
            ("/a%00/b", "/a"),
            ("/a%23/b", "/a"),
            ("/a%3f/b", "/a"),
            ("/%F6", "/\u{fffd}"),
            ("/%zz", "/%zz"),
        ] {
            let readings = of(received).unwrap();
            assert_eq!(readings.first().map(String::as_str), Some(received));
            assert!(
                readings.iter().any(|reading| reading == read),
                "{received}: {readings:?}"
            );
        }
    }

    #[test]
    fn a_path_with_one_reading_has_one() {
        for path in ["/", "/a", "/a/b/", "/a/b.c/d-e_f~g"] {
            assert_eq!(of(path), Some(vec![path.to_owned()]));
        }
    }

    #[test]
    fn too_many_readings_are_none() {
        let path = "/a;%2525;x//..%00/b./c";
        let all = of(path).unwrap().len();
        assert!((20..256).contains(&all), "{all}");
        for most in 0..300 {
            assert_eq!(at_most(most, path).is_some(), most >= all, "{most} of {all}");
        }
        let path = "/%252525252e;%5c//..%00%23%2f%2F;x./".repeat(20);
        assert_eq!(of(&path), None);
    }
}
