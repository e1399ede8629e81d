//! Canonical paths. An accepted path must have no reading that climbs to a parent, and is forwarded byte for byte.
#![no_main]
#![allow(dead_code, reason = "the module is the gateway's own, and not all of it is used here")]

#[path = "../../host/gateway/src/serve/path.rs"]
mod path;

use libfuzzer_sys::fuzz_target;
use path::CanonicalPath;
use percent_encoding::percent_decode_str;

/// How the most careless server reads a path: it decodes until nothing changes, treats backslashes as slashes, drops
/// parameters, and resolves dots.
fn resolved(path: &str) -> Vec<String> {
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
        match segment.split(';').next().unwrap_or_default().trim_end_matches(['.', ' ']) {
            // Segments of dots alone are empty here too.
            "" if segment.starts_with("..") => drop(resolved.pop()),
            "" => {}
            name => resolved.push(name.to_owned()),
        }
    }
    resolved
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

fuzz_target!(|text: &str| {
    let Ok(path) = CanonicalPath::parse_with_encoded_slashes(text) else {
        assert!(CanonicalPath::parse(text).is_err());
        return;
    };
    assert_eq!(path.as_str(), text);
    assert_eq!(CanonicalPath::parse(text).is_ok(), !path.has_encoded_slash());
    assert!(path.covers(&path));
    for reading in path.other_readings().chain([path.clone()]) {
        let decoded = reading.decoded();
        assert!(decoded.starts_with('/') && !decoded.chars().any(char::is_control), "{decoded:?}");
        assert!(!decoded.split('/').any(|segment| segment == "." || segment == ".."), "{decoded:?}");
    }
    // The careless server must end up where one of the readings does: the first one, or its loose one.
    let loose = path.loosely_read();
    let careless = segments(loose.as_ref().unwrap_or(&path).decoded());
    assert_eq!(resolved(text), careless, "{text:?}");
});
