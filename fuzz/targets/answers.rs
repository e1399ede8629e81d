//! A plugin's users and challenges: everything that is accepted fits into a header and a log line.
#![cfg_attr(feature = "libfuzzer", no_main)]

use portcullis::decision::Challenge;
use portcullis::decision::Identity;

portcullis_fuzz::target!(|text: &str| {
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
