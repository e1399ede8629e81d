//! Paths: whatever is taken has no reading that climbs, and goes on byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use portcullis_wire::path::CanonicalPath;

/// What the most careless server makes of a path: decodes until nothing changes, takes backslashes for slashes, drops
/// parameters, and walks.
fn walked(path: &str) -> Vec<String> {
    let mut read = path.to_owned();
    loop {
        let decoded = percent_decode_str(&read).decode_utf8_lossy().into_owned();
        if decoded == read {
            break;
        }
        read = decoded;
    }
    let read = read.split(['?', '#']).next().unwrap_or_default().replace('\\', "/");
    let mut walked = Vec::new();
    for segment in read.split('/') {
        match segment.split(';').next().unwrap_or_default().trim_end_matches(['.', ' ']) {
            // Dots alone come out empty too.
            "" if segment.starts_with("..") => drop(walked.pop()),
            "" => {}
            name => walked.push(name.to_owned()),
        }
    }
    walked
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
    // The careless server goes where one of the readings goes: the first, or the loose one of it.
    let loose = path.lenient_reading();
    let careless = segments(loose.as_ref().unwrap_or(&path).decoded());
    assert_eq!(walked(text), careless, "{text:?}");
});
