//! Paths: an accepted path has no reading with a dot segment, and is forwarded byte for byte.
#![cfg_attr(feature = "libfuzzer", no_main)]

use percent_encoding::percent_decode_str;
use portcullis_wire::path::CanonicalPath;

/// The segments that the most lenient server resolves a path to: it decodes the path until nothing changes, treats
/// backslashes as slashes, drops parameters, and resolves dot segments.
fn resolve(path: &str) -> Vec<String> {
    let mut read = path.to_owned();
    loop {
        let decoded = percent_decode_str(&read).decode_utf8_lossy().into_owned();
        if decoded == read {
            break;
        }
        read = decoded;
    }
    let read = read.split(['?', '#']).next().unwrap_or_default().replace('\\', "/");
    let mut resolved = Vec::new();
    for segment in read.split('/') {
        match segment
            .split(';')
            .next()
            .unwrap_or_default()
            .trim_end_matches(['.', ' '])
        {
            // A segment of dots alone is empty here, too.
            "" if segment.starts_with("..") => drop(resolved.pop()),
            "" => {}
            name => resolved.push(name.to_owned()),
        }
    }
    resolved
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

portcullis_fuzz::target!(|text: &str| {
    let Ok(path) = CanonicalPath::parse_with_encoded_slashes(text) else {
        assert!(CanonicalPath::parse(text).is_err());
        return;
    };
    assert_eq!(path.as_str(), text);
    assert_eq!(CanonicalPath::parse(text).is_ok(), !path.has_encoded_slash());
    assert!(path.covers(&path));
    for reading in path.other_readings().chain([path.clone()]) {
        let decoded = reading.decoded();
        assert!(
            decoded.starts_with('/') && !decoded.chars().any(char::is_control),
            "{decoded:?}"
        );
        assert!(
            !decoded.split('/').any(|segment| segment == "." || segment == ".."),
            "{decoded:?}"
        );
    }
    // The most lenient server finds what one of the readings says: the first one, or its lenient reading.
    let lenient = path.lenient_reading();
    let expected = segments(lenient.as_ref().unwrap_or(&path).decoded());
    assert_eq!(resolve(text), expected, "{text:?}");
});
