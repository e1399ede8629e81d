//! Answers with one invalid field: `FIELD HEX COUNT`, where the bytes of the field are given in hexadecimal and
//! repeated.

use crate::grant;
use crate::portcullis::auth::types::Challenge;
use crate::portcullis::auth::types::Grant;
use crate::portcullis::auth::types::Refusal;
use crate::portcullis::auth::types::Response;

pub fn answer(arguments: &str) -> Result<Grant, Refusal> {
    let mut arguments = arguments.split(' ');
    let field = arguments.next().unwrap_or_default();
    let bytes = decode_hex(arguments.next().unwrap_or_default());
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    let bytes = bytes.repeat(count);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut grant = grant("alice", vec!["staff".to_owned()]);
    let x = || "x".to_owned();
    let challenge = |scheme, name, value| {
        Some(Challenge {
            scheme,
            parameters: vec![(name, value)],
        })
    };
    let respond = |name, value| Response {
        status: 200,
        headers: vec![(name, value)],
        body: Vec::new(),
    };
    match field {
        "name" => grant.user.name = text,
        "group" => grant.user.groups.push(text),
        "groups" => grant.user.groups = vec!["g".to_owned(); count],
        "attribute-name" => grant.user.attributes.push((text, x())),
        "attribute-value" => grant.user.attributes.push((x(), text)),
        "attributes" => grant.user.attributes = (0..count).map(|n| (n.to_string(), x())).collect(),
        "header-name" => grant.response_headers.push((text, b"x".to_vec())),
        "header-value" => grant.response_headers.push((x(), bytes)),
        "headers" => grant.response_headers = (0..count).map(|n| (format!("x-{n}"), b"x".to_vec())).collect(),
        "set-cookie" => grant.response_headers.push(("set-cookie".to_owned(), bytes)),
        "respond-header-name" => return Err(Refusal::Respond(respond(text, b"x".to_vec()))),
        "respond-header-value" => return Err(Refusal::Respond(respond(x(), bytes))),
        "respond-location" => return Err(Refusal::Respond(respond("location".to_owned(), bytes))),
        "respond-body" => {
            return Err(Refusal::Respond(Response {
                body: bytes,
                ..respond(x(), b"x".to_vec())
            }));
        }
        "respond-status" => {
            let status = count.try_into().unwrap_or(u16::MAX);
            return Err(Refusal::Respond(Response {
                status,
                ..respond(x(), b"x".to_vec())
            }));
        }
        "scheme" => return Err(Refusal::Unauthenticated((x(), challenge(text, x(), x())))),
        "parameter-name" => return Err(Refusal::Unauthenticated((x(), challenge(x(), text, x())))),
        "parameter-value" => return Err(Refusal::Forbidden((x(), challenge(x(), x(), text)))),
        "not-mine-scheme" => return Err(Refusal::NotMine(challenge(text, x(), x()))),
        "not-mine-value" => return Err(Refusal::NotMine(challenge(x(), x(), text))),
        "why-unauthenticated" => return Err(Refusal::Unauthenticated((text, None))),
        "why-forbidden" => return Err(Refusal::Forbidden((text, None))),
        "why-unavailable" => return Err(Refusal::Unavailable(text)),
        _ => {}
    }
    Ok(grant)
}

pub fn decode_hex(hex: &str) -> Vec<u8> {
    let digits = |at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).filter_map(digits).collect()
}
