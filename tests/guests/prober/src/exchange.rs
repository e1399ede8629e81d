//! Requests to other servers by `outbound`, one complete exchange each.

use crate::answer::decode_hex;
use crate::grant;
use crate::portcullis::auth::outbound;
use crate::portcullis::auth::outbound::Failure;
use crate::portcullis::auth::types::Grant;

/// Sends a request as `TIMES METHOD URL HEADER BODY-LENGTH TIMEOUT-MS MAX-BODY` says, with the URL in
/// hexadecimal digits. `-` stands for none. The groups are what
/// became of the last time.
pub fn exchange(arguments: &str) -> Grant {
    let mut words = arguments.split(' ').map(|word| (word != "-").then_some(word));
    let mut word_or_none = || words.next().flatten();
    let times = number(word_or_none()).unwrap_or(1);
    let request = outbound::Request {
        method: word_or_none().unwrap_or_default().to_owned(),
        url: String::from_utf8(decode_hex(word_or_none().unwrap_or_default())).unwrap_or_default(),
        headers: word_or_none().map(|name| (name.to_owned(), b"x".to_vec())).into_iter().collect(),
        body: vec![b'x'; number(word_or_none()).unwrap_or_default() as usize],
        timeout_ms: number(word_or_none()),
        max_body: number(word_or_none()),
    };
    let mut result = Vec::new();
    for _ in 0..times {
        result = match outbound::fetch(&request) {
            Ok(answer) => vec![format!("status {}", answer.status), format!("bytes {}", answer.body.len())],
            Err(failure) => vec![word(&failure)],
        };
    }
    grant("alice", result)
}

fn number(word: Option<&str>) -> Option<u32> {
    word?.parse().ok()
}

fn word(failure: &Failure) -> String {
    match failure {
        Failure::Denied => "denied".to_owned(),
        Failure::Invalid(why) => format!("invalid: {why}"),
        Failure::Limited => "limited".to_owned(),
        Failure::Timeout => "timeout".to_owned(),
        Failure::TooLarge(most) => format!("too large: {most}"),
        Failure::Unreachable(why) => format!("unreachable: {why}"),
        Failure::Unusable(why) => format!("unusable: {why}"),
    }
}
