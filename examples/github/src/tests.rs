//! Against a GitHub that the fake gateway plays.

use portcullis_sdk::Response;
use portcullis_sdk::testing::{FakeHost, FakeProvider, configure};

use super::*;

const TOKEN: &str = "https://github.com/login/oauth/access_token";
const USER: &str = "https://api.github.com/user";
const MEMBERSHIP: &str = "https://api.github.com/user/memberships/orgs/science";

fn login() -> GitHub {
    configure(r#"{"client_id": "a", "client_secret": "b", "organization": "science"}"#).unwrap()
}

fn json(status: u16, body: &str) -> Response {
    Response::new(status).with_body(body)
}

fn github(user: Response, membership: Response) -> (FakeHost, FakeProvider) {
    let host = FakeHost::start();
    let provider = FakeProvider::start(
        &host,
        TOKEN,
        r#"{"access_token": "gho_1", "token_type": "bearer", "scope": "read:org"}"#,
    );
    host.answer(USER, user);
    host.answer(MEMBERSHIP, membership);
    (host, provider)
}

fn outcome(result: Result<Arrival, Refusal>) -> String {
    match result {
        Ok(arrival) => arrival.user.name,
        Err(Refusal::Unauthenticated(..)) => "401".to_owned(),
        Err(Refusal::Forbidden(..)) => "403".to_owned(),
        Err(Refusal::Unavailable(_)) => "503".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn members_log_in_by_their_number() {
    let alice = || json(200, r#"{"id": 4711, "login": "alice", "name": "Alice"}"#);
    let member = || json(200, r#"{"state": "active", "role": "member"}"#);
    for (user, membership, expected) in [
        (alice(), member(), "4711"),
        (alice(), json(200, r#"{"state": "pending"}"#), "403"),
        (alice(), json(404, r#"{"message": "Not Found"}"#), "403"),
        (alice(), json(403, ""), "403"),
        (alice(), json(502, ""), "503"),
        (alice(), json(200, "{}"), "403"),
        (alice(), json(200, "<html>"), "503"),
        (json(401, ""), member(), "401"),
        (json(403, r#"{"message": "API rate limit exceeded"}"#), member(), "503"),
        (json(200, r#"{"id": "4711", "login": "alice"}"#), member(), "503"),
        (json(302, ""), member(), "503"),
    ] {
        let (host, provider) = github(user, membership);
        let found = provider.through(&login());
        let again = found
            .as_ref()
            .ok()
            .map(|arrival| login().renew(arrival.keep.as_ref().unwrap()));
        assert_eq!(outcome(found), expected);
        // The same is asked again of the token that is kept.
        assert!(again.is_none_or(|again| outcome(again) == expected));
        for request in host.requests().iter().filter(|request| request.method == "GET") {
            assert_eq!(request.header("authorization").as_deref(), Some("Bearer gho_1"));
            assert!(
                request.header("user-agent").is_some(),
                "GitHub refuses requests without"
            );
        }
    }
}

/// GitHub says errors with the status 200.
#[test]
fn errors_with_status_200_let_nobody_in() {
    for (error, expected) in [
        ("bad_verification_code", "401"),
        ("incorrect_client_credentials", "503"),
        ("redirect_uri_mismatch", "503"),
    ] {
        let (host, provider) = github(json(500, ""), json(500, ""));
        host.answer(
            TOKEN,
            json(200, &format!(r#"{{"error": "{error}", "error_description": "no"}}"#)),
        );
        assert_eq!(outcome(provider.through(&login())), expected, "{error}");
    }
}

#[test]
fn an_organization_has_a_name() {
    for name in ["", "a/b", "a?b", "..", "a b"] {
        let settings = format!(r#"{{"client_id": "a", "client_secret": "b", "organization": "{name}"}}"#);
        assert!(
            configure::<GitHub>(&settings)
                .unwrap_err()
                .starts_with("organization: "),
            "{name}"
        );
    }
}
