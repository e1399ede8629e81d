//! The users and challenges that plugins return. Whatever is accepted must be valid in a header and in a log line.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the modules are the gateway's own, and not all of them is used here")]

#[path = "../../host/core/src/decision/challenge.rs"]
mod challenge;
#[path = "../../host/core/src/decision/identity.rs"]
mod identity;

use challenge::Challenge;
use identity::Claims;
use identity::Identity;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(user) = serde_json::from_str::<Identity>(text) {
        let texts = user.groups().iter().map(String::as_str).chain([user.name()]);
        for text in texts.chain(user.attributes().flat_map(|(name, value)| [name, value])) {
            assert!(!text.chars().any(char::is_control) && text.len() <= 4096);
        }
        let again = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<Identity>(&again).unwrap(), user);
    }
    let mut lines = text.lines();
    let scheme = lines.next().unwrap_or_default();
    let parameters = lines.map(|line| line.split_once('=').unwrap_or((line, "")));
    if let Some(challenge) = Challenge::new(scheme, parameters) {
        let bytes = challenge.as_header().as_bytes();
        assert!(bytes.len() <= 4096 && !bytes.iter().any(u8::is_ascii_control));
    }
});
