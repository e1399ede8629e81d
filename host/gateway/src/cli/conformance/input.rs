//! Requests and settings that no author thinks of: empty, malformed and huge values in every place that a plugin reads.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header;
use portcullis::AuthRequest;
use portcullis::Role;
use portcullis::decision::Attribute;
use portcullis::decision::Claims;
use portcullis::decision::Identity;
use portcullis::decision::MAX_ATTRIBUTE_VALUE;
use portcullis::decision::MAX_GROUPS;
use portcullis::decision::MAX_NAME;
use portcullis_loader::cases::CaseUser;
use serde_json::Value;
use serde_json::json;

/// A request, and what is odd about it.
#[derive(Clone, Debug)]
pub(super) struct OddRequest {
    pub(super) what: String,
    pub(super) request: Arc<AuthRequest>,
    /// Whose it is said to be, which only an authorizer is told. `None` for nobody.
    pub(super) user: Option<CaseUser>,
}

/// Values for a header, a cookie or a query parameter, each with a word for it.
fn values() -> Vec<(&'static str, Vec<u8>)> {
    let huge = 64 << 10;
    vec![
        ("empty", Vec::new()),
        ("a space", b" ".to_vec()),
        ("a colon", b":".to_vec()),
        ("bytes that aren't UTF-8", (0x80..=0xff).collect()),
        ("UTF-8", "ü€😀\u{202e}".as_bytes().to_vec()),
        ("malformed percent-encoding", b"%%%2%zz%00%ff".to_vec()),
        ("a NUL in percent-encoding", b"a%00b".to_vec()),
        ("64 KiB", vec![b'a'; huge]),
        ("64 KiB of dots", vec![b'.'; huge]),
        ("64 KiB of brackets", vec![b'['; huge]),
        ("a scheme alone", b"Bearer".to_vec()),
        ("a scheme and a space", b"Basic ".to_vec()),
        ("Basic that isn't base64", b"Basic !!!".to_vec()),
        ("Basic without a colon", b"Basic YQ==".to_vec()),
        ("Basic with nothing but a colon", b"Basic Og==".to_vec()),
        ("Basic with a NUL", b"Basic AAA6AA==".to_vec()),
        ("Basic of 64 KiB", [b"Basic ".to_vec(), vec![b'Y'; huge]].concat()),
        (
            "Basic with a name of 3 KiB",
            [&b"Basic "[..], &b"YWFh".repeat(1 << 10), b"Og=="].concat(),
        ),
        (
            "a bearer token of 64 KiB",
            [b"Bearer ".to_vec(), vec![b'a'; huge]].concat(),
        ),
        ("a bearer token of dots", b"Bearer ..".to_vec()),
        ("a token without a signature", b"Bearer e30.e30.".to_vec()),
        ("a token of arrays", b"Bearer W10.W10.W10".to_vec()),
        (
            "a token whose header is deep JSON",
            [&b"Bearer "[..], &b"W1tb".repeat(4 << 10), b".e30.e30"].concat(),
        ),
        ("Negotiate that isn't base64", b"Negotiate !".to_vec()),
        ("Negotiate with four bytes", b"Negotiate AAAAAA==".to_vec()),
        ("an unknown scheme", b"Unknown a=\"b\\\"c\", d".to_vec()),
    ]
}

/// A request for `/` without anything.
pub(super) fn plain() -> AuthRequest {
    let (parts, ()) = http::Request::new(()).into_parts();
    AuthRequest::from_parts(&parts)
}

/// Somebody.
fn somebody() -> Option<CaseUser> {
    user(Claims {
        name: "somebody".to_owned(),
        ..Claims::default()
    })
}

fn user(claims: Claims) -> Option<CaseUser> {
    Identity::try_from(claims).ok().map(CaseUser::from)
}

/// Odd users, each with a word for them. There may be nobody.
fn users() -> Vec<(&'static str, Option<CaseUser>)> {
    let named = |name: &str| Claims {
        name: name.to_owned(),
        ..Claims::default()
    };
    let pairs = |count: usize, value: &str| Vec::from_iter((0..count).map(|n| (format!("a{n}"), value.to_owned())));
    vec![
        ("nobody", None),
        ("a user name of 256 bytes", user(named(&"n".repeat(MAX_NAME)))),
        ("a user name with quotes", user(named("\"'`${x}<ü>\u{202e}\\"))),
        (
            "a user in 4096 groups",
            user(Claims {
                groups: Vec::from_iter((0..MAX_GROUPS).map(|n| format!("group \"{n}\" of ü"))),
                ..named("member")
            }),
        ),
        (
            "an administrator with 48 attributes of 4 KiB",
            user(Claims {
                admin: true,
                attributes: pairs(48, &"v".repeat(MAX_ATTRIBUTE_VALUE)),
                ..named("admin")
            }),
        ),
    ]
}

/// The odd requests for what a plugin in this role has read so far, after one without anything and the `known` ones.
pub(super) fn requests(role: Role, read: &[Attribute], known: Vec<OddRequest>) -> Vec<OddRequest> {
    let mut odd = vec![OddRequest {
        what: "nothing in it".to_owned(),
        request: Arc::new(plain()),
        user: somebody(),
    }];
    if role == Role::Authorizer && read.is_empty() {
        odd.extend(users().into_iter().map(|(what, user)| OddRequest {
            what: format!("user: {what}"),
            request: Arc::new(plain()),
            user,
        }));
    }
    odd.extend(known);
    let mut add = |what: String, request: AuthRequest| {
        odd.push(OddRequest {
            what,
            request: Arc::new(request),
            user: somebody(),
        });
    };
    for attribute in read {
        match attribute {
            Attribute::Header(name) => of_header(name, &mut add),
            Attribute::Cookie(name) => {
                for (what, value) in values() {
                    let cookie = [name.as_bytes(), b"=", &value].concat();
                    add(format!("cookie {name}: {what}"), with(header::COOKIE, &[cookie]));
                }
                let twice = format!("{name}=a; {name}=b").into_bytes();
                add(format!("cookie {name}: two values"), with(header::COOKIE, &[twice]));
                let pieces = b";=;;=".repeat(1 << 10);
                add(
                    format!("cookie {name}: a header of separators"),
                    with(header::COOKIE, &[pieces]),
                );
            }
            Attribute::Query => {
                for (what, value) in values() {
                    let query = String::from_utf8_lossy(&value).into_owned();
                    let request = AuthRequest {
                        query: Some(query),
                        ..plain()
                    };
                    add(format!("query: {what}"), request);
                }
            }
            Attribute::Path => {
                let huge = "/a".repeat(32 << 10);
                for (what, path) in [
                    ("empty", ""),
                    ("only dots", "/../..;/.%2e/"),
                    ("64 KiB", &huge),
                    ("no slash", "*"),
                ] {
                    let request = AuthRequest {
                        path: path.to_owned(),
                        ..plain()
                    };
                    add(format!("path: {what}"), request);
                }
            }
            Attribute::Authority => {
                for (what, authority) in [
                    ("empty", ""),
                    ("malformed", "[::1:80:"),
                    ("64 KiB", &"a".repeat(64 << 10)),
                ] {
                    let request = AuthRequest {
                        authority: Some(authority.to_owned()),
                        ..plain()
                    };
                    add(format!("authority: {what}"), request);
                }
            }
            Attribute::Method => {
                if let Ok(method) = Method::from_bytes(&[b'A'; 1 << 10]) {
                    add("method: 1 KiB".to_owned(), AuthRequest { method, ..plain() });
                }
            }
            Attribute::ClientCertificate => {
                for (what, der) in [
                    ("empty", vec![]),
                    ("garbage", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
                    ("64 KiB", vec![0x30; 64 << 10]),
                ] {
                    let request = AuthRequest {
                        client_certificate: Some(der.into()),
                        ..plain()
                    };
                    add(format!("client certificate: {what}"), request);
                }
            }
            _ => {}
        }
    }
    odd
}

fn of_header(name: &str, add: &mut impl FnMut(String, AuthRequest)) {
    let Ok(header) = name.parse::<HeaderName>() else { return };
    for (what, value) in values() {
        add(format!("header {name}: {what}"), with(header.clone(), &[value]));
    }
    let twice = [b"a".to_vec(), b"b".to_vec()];
    add(format!("header {name}: two fields"), with(header.clone(), &twice));
    let many = vec![b"Bearer a".to_vec(); 1000];
    add(format!("header {name}: 1000 fields"), with(header, &many));
}

/// A request with fields of one name. What can't be a field's value is left out, as it can't arrive.
fn with(name: HeaderName, values: &[Vec<u8>]) -> AuthRequest {
    let mut headers = HeaderMap::new();
    for value in values {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name.clone(), value);
        }
    }
    AuthRequest { headers, ..plain() }
}

/// The settings, each time with one value that is odd, and what is odd about it.
pub(super) fn settings(good: &Value) -> Vec<(String, Value)> {
    let mut odd = vec![("no settings".to_owned(), json!({}))];
    let Value::Object(members) = good else { return odd };
    let huge = "a".repeat(256 << 10);
    let odd_values = [
        ("an empty text", json!("")),
        ("a text of 256 KiB", json!(huge)),
        ("control characters", json!("\u{0}\r\n\u{7f}")),
        ("a URL without a host", json!("https://")),
        ("a negative number", json!(-1)),
        ("the largest number", json!(i64::MAX)),
        ("a fraction", json!(0.5)),
        ("true", json!(true)),
        ("an empty list", json!([])),
        ("an empty table", json!({})),
    ];
    for name in members.keys() {
        for (what, value) in &odd_values {
            let mut settings = members.clone();
            settings.insert(name.clone(), value.clone());
            odd.push((format!("{name}: {what}"), Value::Object(settings)));
        }
        let mut settings = members.clone();
        settings.remove(name);
        odd.push((format!("no {name}"), Value::Object(settings)));
    }
    let mut settings = members.clone();
    settings.insert("portcullis-conformance".to_owned(), json!(1));
    odd.push(("an unknown key".to_owned(), Value::Object(settings)));
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_that_is_read_gets_odd_values_and_no_two_are_the_same() {
        let read = [
            Attribute::Header("x-key".to_owned()),
            Attribute::Cookie("c".to_owned()),
            Attribute::Query,
            Attribute::Path,
            Attribute::Authority,
            Attribute::Method,
            Attribute::ClientCertificate,
        ];
        let all = requests(Role::Authenticator, &read, Vec::new());
        let mut names = Vec::from_iter(all.iter().map(|odd| odd.what.as_str()));
        for place in [
            "header x-key: ",
            "cookie c: ",
            "query: ",
            "path: ",
            "authority: ",
            "method: ",
            "client certificate: ",
        ] {
            assert!(names.iter().any(|name| name.starts_with(place)), "{place}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let huge = all.iter().find(|odd| odd.what == "header x-key: 64 KiB").unwrap();
        assert_eq!(huge.request.headers["x-key"].len(), 64 << 10);
        let settings = settings(&json!({"a": 1, "b": "c"}));
        assert!(settings.contains(&("no a".to_owned(), json!({"b": "c"}))));
        assert!(settings.contains(&("b: an empty text".to_owned(), json!({"a": 1, "b": ""}))));
    }
}
