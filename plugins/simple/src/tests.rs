//! Tests of the plugin with valid and invalid credentials. Each one builds a request and asks the authenticator.

use std::time::Duration;

use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;

use super::Simple;

const ANY_PASSWORD: &str = "{}";
const SHARED: &str = r#"{"password": "s3:cret"}"#;

fn ask(settings: &str, authorization: &[&[u8]]) -> Result<Grant, Refusal> {
    let mut request = RequestBuilder::get("/");
    for value in authorization {
        request = request.header("authorization", value);
    }
    configure::<Simple>(settings).unwrap().authenticate(&request.build())
}

fn challenge() -> Challenge {
    Challenge::new("Basic")
        .with("realm", "Portcullis")
        .with("charset", "UTF-8")
}

#[test]
fn any_basic_credentials_are_accepted_when_no_password_is_set() {
    let cases: [(&[u8], &str); 6] = [
        (b"Basic YWxpY2U6cHc=", "alice"),
        (b"Basic YWxpY2U6", "alice"),     // no password
        (b"basic  YWxpY2U6cHc", "alice"), // case, spaces, no padding
        (b"Basic amFuLmRvZUB4LnRlc3Q6", "jan.doe@x.test"),
        (b"Basic asOkbjpw", "j\u{e4}n"), // UTF-8
        (b"Basic auRuOnA=", "j\u{e4}n"), // Latin-1, as dask's client sends it
    ];
    for (header, name) in cases {
        let grant = Grant::from(User::new(name)).valid_for(Duration::from_secs(300));
        assert_eq!(ask(ANY_PASSWORD, &[header]), Ok(grant), "{}", header.escape_ascii());
    }
}

#[test]
fn only_the_shared_password_is_accepted_when_one_is_set() {
    assert_eq!(
        ask(SHARED, &[b"Basic YWxpY2U6czM6Y3JldA=="]).unwrap().user,
        User::new("alice")
    ); // alice:s3:cret
    let wrong: [&[u8]; 3] = [b"Basic YWxpY2U6czM=", b"Basic YWxpY2U6", b"Basic YWxpY2U6czM6Y3JldHM="];
    for header in wrong {
        assert_eq!(
            ask(SHARED, &[header]),
            Err(Refusal::unauthenticated("wrong password", challenge()))
        );
    }
}

#[test]
fn requests_without_basic_credentials_are_left_to_other_authenticators() {
    let cases: [&[&[u8]]; 5] = [&[], &[b""], &[b"Bearer x"], &[b"Basicx YWxpY2U6"], &[b"\xff\xfe"]];
    for headers in cases {
        assert_eq!(
            ask(ANY_PASSWORD, headers),
            Err(Refusal::not_mine(challenge())),
            "{headers:?}"
        );
    }
}

#[test]
fn malformed_credentials_are_refused() {
    let cases: [&[&[u8]]; 9] = [
        &[b"Basic"],
        &[b"Basic !!!"],
        &[b"Basic YWxpY2U="],                        // no colon
        &[b"Basic YWxpY2U6cHc=!!"],                  // garbage after
        &[b"Basic YWxpY2U6c"],                       // cut short
        &[b"Basic OnB3"],                            // no user name
        &[b"Basic IGE6cHc="],                        // a space before the name
        &[b"Basic YQA6cHc="],                        // NUL
        &[b"Basic YWxpY2U6cHc=", b"Basic Ym9iOnB3"], // two headers
    ];
    for headers in cases {
        let refusal = ask(ANY_PASSWORD, headers);
        assert!(
            matches!(&refusal, Err(Refusal::Unauthenticated(_, Some(c))) if *c == challenge()),
            "{headers:?}"
        );
    }
    let long = [b"Basic ".to_vec(), "YWFh".repeat(86).into_bytes(), b"Og==".to_vec()].concat();
    assert!(
        matches!(ask(ANY_PASSWORD, &[&long]), Err(Refusal::Unauthenticated(..))),
        "258 bytes of name"
    );
}

#[test]
fn valid_for_sets_how_long_a_decision_is_reused() {
    for (settings, seconds) in [(r#"{"valid_for": "12h"}"#, Some(43_200)), (r#"{"valid_for": 0}"#, None)] {
        let grant = ask(settings, &[b"Basic YWxpY2U6"]).unwrap();
        assert_eq!(grant.valid_for, seconds.map(Duration::from_secs), "{settings}");
    }
}

#[test]
fn the_realm_is_configurable() {
    let refusal = ask(r#"{"realm": "the lab"}"#, &[]);
    assert_eq!(refusal, Err(Refusal::not_mine(Challenge::basic("the lab"))));
}

#[test]
fn wrong_settings_are_errors_that_name_the_setting_and_hide_the_password() {
    let cases = [
        (r#"{"password": ""}"#, "password: a secret must not be empty"),
        (r#"{"password": 774411}"#, "password: a secret must be a string"),
        (r#"{"pasword": "x"}"#, "pasword: unknown field `pasword`"),
        (r#"{"realm": "a\nb"}"#, "realm: it must not have control characters"),
        (r#"{"valid_for": "soon"}"#, "valid_for: invalid value"),
    ];
    for (settings, expected) in cases {
        let error = configure::<Simple>(settings).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn only_the_authorization_header_is_read() {
    let request = RequestBuilder::get("/")
        .header("authorization", "Basic YWxpY2U6")
        .build();
    configure::<Simple>(ANY_PASSWORD)
        .unwrap()
        .authenticate(&request)
        .unwrap();
    assert_eq!(request.attributes_read(), ["header authorization"]);
}
