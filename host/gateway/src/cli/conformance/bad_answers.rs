//! What a server may answer that no author thinks of: nothing, garbage, something huge, and the right answer with one thing wrong.

use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::header;
use serde_json::Value;
use serde_json::json;

/// An answer, and what is bad about it.
#[derive(Clone, Debug)]
pub(super) struct BadAnswer {
    pub(super) what: String,
    pub(super) kind: Kind,
    /// Whether there is nothing in it that a plugin could use.
    pub(super) is_useless: bool,
}

/// How a server answers.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Never.
    Hangs,
    /// It closes the connection.
    HangsUp,
    /// With this response.
    Answers(Response<Bytes>),
}

/// The largest body that a plugin can receive, in bytes.
const MOST: usize = 8 << 20;
/// The most members of a JSON object that are changed one by one.
const MAX_MEMBERS: usize = 16;

/// All bad answers to the request for `url`, of which `good` is the right one.
pub(super) fn all(url: &Uri, good: Option<&Response<Bytes>>) -> Vec<BadAnswer> {
    let useless = |what: &str, kind: Kind| BadAnswer {
        what: what.to_owned(),
        kind,
        is_useless: true,
    };
    let mut bad = vec![
        useless("never answers", Kind::Hangs),
        useless("closes the connection", Kind::HangsUp),
    ];
    for status in [204_u16, 400, 401, 404, 429, 500, 503] {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        bad.push(useless(&format!("answers {status}"), Kind::Answers(response)));
    }
    for (what, location) in [
        ("redirects to itself", url.to_string()),
        ("redirects to another server", "https://conformance.invalid/".to_owned()),
        ("redirects to no URL", "http://[".to_owned()),
    ] {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::FOUND;
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        bad.push(useless(what, Kind::Answers(response)));
    }
    for (what, body) in bodies() {
        bad.push(useless(
            &format!("answers {what}"),
            Kind::Answers(like(good, body.into())),
        ));
    }
    bad.extend(good.into_iter().flat_map(changed));
    bad
}

/// Bodies that stand in the place of the right one.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = 100 << 10;
    vec![
        ("nothing", Vec::new()),
        ("bytes that aren't UTF-8", (0x80..=0xff).cycle().take(1 << 10).collect()),
        ("zeros", vec![0; 64 << 10]),
        ("a page", b"<!doctype html><title>Sign in</title>".to_vec()),
        ("null", b"null".to_vec()),
        ("an empty list", b"[]".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("a text", b"\"a\"".to_vec()),
        ("a number beyond all numbers", b"1e999".to_vec()),
        ("deep JSON", vec![b'['; deep]),
        (
            "deep JSON that is complete",
            [vec![b'['; deep], vec![b']'; deep]].concat(),
        ),
        (
            "an object with one name many times",
            format!("{{{}\"a\":1}}", "\"a\":1,".repeat(10 << 10)).into(),
        ),
        (
            "8 MiB, the most that it can receive",
            [&b"\""[..], &vec![b'a'; MOST - 2], b"\""].concat(),
        ),
        ("more than 8 MiB", vec![b' '; MOST + 1]),
    ]
}

/// A response with the head of the right one, and another body.
fn like(good: Option<&Response<Bytes>>, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    if let Some(good) = good {
        *response.status_mut() = good.status();
        response.headers_mut().clone_from(good.headers());
    }
    response
}

/// The right answer with one thing wrong.
fn changed(good: &Response<Bytes>) -> Vec<BadAnswer> {
    let answers = |what: String, body: Bytes| BadAnswer {
        what,
        kind: Kind::Answers(like(Some(good), body)),
        is_useless: false,
    };
    let body = good.body();
    let mut bad = Vec::new();
    if body.len() > 1 {
        bad.push(answers(
            "breaks off in the middle".to_owned(),
            body.slice(..body.len() / 2),
        ));
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return bad;
    };
    let odd = [
        ("null", json!(null)),
        ("an empty list", json!([])),
        ("an empty object", json!({})),
        ("an empty text", json!("")),
        ("a text of 64 KiB", json!("a".repeat(64 << 10))),
        ("-1", json!(-1)),
    ];
    for name in members.keys().take(MAX_MEMBERS) {
        for (what, value) in &odd {
            let mut members = members.clone();
            members.insert(name.clone(), value.clone());
            let body = Value::Object(members).to_string();
            bad.push(answers(format!("answers with {name:?} being {what}"), body.into()));
        }
        let mut members = members.clone();
        members.remove(name);
        let body = Value::Object(members).to_string();
        bad.push(answers(format!("answers without {name:?}"), body.into()));
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_bad_in_a_way_of_its_own() {
        let url = Uri::from_static("https://id.example/keys");
        let mut good = Response::new(Bytes::from_static(br#"{"keys": [1], "b": 2}"#));
        good.headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let bad = all(&url, Some(&good));
        let mut names = Vec::from_iter(bad.iter().map(|bad| bad.what.as_str()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let body = |what: &str| {
            let found = bad.iter().find(|bad| bad.what == what);
            match &found.unwrap_or_else(|| panic!("{what}")).kind {
                Kind::Answers(response) => {
                    assert_eq!(
                        response.headers().get(header::CONTENT_TYPE),
                        good.headers().get(header::CONTENT_TYPE)
                    );
                    String::from_utf8_lossy(response.body()).into_owned()
                }
                kind => panic!("{kind:?}"),
            }
        };
        let json = |what: &str| serde_json::from_str::<Value>(&body(what)).unwrap();
        assert_eq!(json("answers without \"keys\""), json!({"b": 2}));
        assert_eq!(json("answers with \"b\" being null"), json!({"b": null, "keys": [1]}));
        assert_eq!(body("breaks off in the middle"), "{\"keys\": [");
        assert_eq!(body("answers 8 MiB, the most that it can receive").len(), MOST);
        assert!(all(&url, None).len() < count);
    }
}
