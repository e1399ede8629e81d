//! A flow against a provider that the fake gateway plays.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::Flow;
use crate::Parameters;
use crate::Refusal;
use crate::Response;
use crate::Secret;
use crate::http::HttpError;
use crate::testing::FakeHost;

const ISSUER: &str = "https://id.example/tenant";
const TOKEN: &str = "https://id.example/token";

fn secret(text: &str) -> Secret {
    serde_json::from_value(text.into()).unwrap()
}

fn provider() -> Provider {
    Provider::new("https://id.example/authorize?tenant=a", TOKEN)
}

fn flow() -> Flow {
    Flow::new("st&te", "https://gateway.test/.portcullis/login/id/callback")
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The example of RFC 7636, appendix B.
#[test]
fn the_challenge_is_that_of_the_standard() {
    let attempt = Attempt::from_memo(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\nn").unwrap();
    assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn the_url_has_state_challenge_and_what_the_endpoint_has_itself() {
    let attempt = Attempt::new();
    let client = Client::new("us & them", None);
    let request = provider().authorization_request(&client, &flow(), &attempt);
    let url = request.clone().scope("openid email").nonce(&attempt).url();
    let (endpoint, query) = url.split_once('?').unwrap();
    assert_eq!(endpoint, "https://id.example/authorize");
    let found = pairs(query);
    let expected = [
        ("client_id", "us & them"),
        ("code_challenge", &attempt.challenge()),
        ("code_challenge_method", "S256"),
        ("nonce", attempt.nonce()),
        ("redirect_uri", "https://gateway.test/.portcullis/login/id/callback"),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "st&te"),
        ("tenant", "a"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
    let silent = provider()
        .authorization_request(&client, &flow().silent(), &attempt)
        .url();
    assert_eq!(pairs(silent.split_once('?').unwrap().1)["prompt"], "none");
    assert_ne!(Attempt::new(), attempt);
    assert_eq!(Attempt::from_memo(&attempt.to_memo()), Ok(attempt));
    for memo in [&b""[..], b"\n", b"a", b"a\n", b"\nb", b"\xff\n\xff"] {
        assert!(Attempt::from_memo(memo).is_err(), "{memo:?}");
    }
}

/// RFC 9207: who answers is looked at before what it says.
#[test]
fn a_callback_is_the_providers_own_before_anything_it_says_counts() {
    let mut known = provider();
    known.issuer = Some(ISSUER.to_owned());
    let mut telling = known.clone();
    telling.names_itself = true;
    let denied = |what: &str| Err(format!("unauthenticated {what}"));
    for (provider, parameters, expected) in [
        (&known, &[("code", "c")][..], Ok("c")),
        (&known, &[("code", "c"), ("iss", ISSUER)], Ok("c")),
        (&telling, &[("code", "c"), ("iss", ISSUER)], Ok("c")),
        (
            &known,
            &[("code", "c"), ("iss", "https://evil.example")],
            denied("another issuer"),
        ),
        (
            &known,
            &[("code", "c"), ("iss", "https://id.example/tenant/")],
            denied("another issuer"),
        ),
        (
            &known,
            &[("error", "access_denied"), ("iss", "x")],
            denied("another issuer"),
        ),
        (&telling, &[("code", "c")], denied("doesn't say its issuer")),
        (&telling, &[("error", "server_error")], denied("doesn't say its issuer")),
        (
            &known,
            &[("error", "access_denied"), ("code", "c")],
            denied("\"access_denied\""),
        ),
        (
            &known,
            &[("error", "access_denied"), ("error_description", "<b>\nno")],
            denied("\"access_denied\": <b> no"),
        ),
        (&known, &[("error", "login_required")], Err("not-mine ".to_owned())),
        (&known, &[("error", "consent_required")], Err("not-mine ".to_owned())),
        (
            &known,
            &[("error", "server_error")],
            Err("unavailable \"server_error\"".to_owned()),
        ),
        (
            &known,
            &[("error", "unauthorized_client")],
            Err("unavailable".to_owned()),
        ),
        (&known, &[("code", "")], denied("neither a code nor an error")),
        (&known, &[], denied("neither a code nor an error")),
    ] {
        let parameters = Parameters::new(parameters.iter().copied());
        match (provider.code(&parameters).map_err(Refusal::from), expected) {
            (Ok(code), Ok(expected)) => assert_eq!(code, expected),
            (Err(refusal), Err(expected)) => {
                let (kind, why) = match refusal {
                    Refusal::Unauthenticated(why, None) => ("unauthenticated", why),
                    Refusal::NotMine(None) => ("not-mine", String::new()),
                    Refusal::Unavailable(why) => ("unavailable", why),
                    other => panic!("{other:?}"),
                };
                let (expected_kind, part) = expected.split_once(' ').unwrap_or((&expected, ""));
                assert_eq!(kind, expected_kind, "{parameters:?}: {why}");
                assert!(why.contains(part), "{parameters:?}: {why}");
            }
            (found, expected) => panic!("{parameters:?}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_code_is_exchanged_by_each_way_to_say_who_we_are() {
    let answer = r#"{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": "it", "later": {}}"#;
    let attempt = Attempt::from_memo(b"verifier\nnonce").unwrap();
    for (authentication, secret, header, in_form) in [
        (
            ClientAuthentication::Basic,
            Some(secret("s:/ é")),
            // us+%26+them:s%3A%2F+%C3%A9
            Some("Basic dXMrJTI2K3RoZW06cyUzQSUyRislQzMlQTk="),
            &[][..],
        ),
        (
            ClientAuthentication::Post,
            Some(secret("s:/ é")),
            None,
            &[("client_id", "us & them"), ("client_secret", "s:/ é")],
        ),
        (ClientAuthentication::None, None, None, &[("client_id", "us & them")]),
        (ClientAuthentication::Basic, None, None, &[("client_id", "us & them")]),
    ] {
        let host = FakeHost::start();
        host.answer(TOKEN, Response::new(200).with_body(answer));
        let client = Client::new("us & them", secret).authentication(authentication);
        let client = client.timeout(Duration::from_secs(2));
        let tokens = client.exchange(&provider(), &flow(), &attempt, "c&de").unwrap();
        assert_eq!(
            (
                tokens.access_token.as_str(),
                tokens.id_token.as_deref(),
                tokens.expires_in
            ),
            ("at", Some("it"), Some(60))
        );
        let [sent] = host.requests().try_into().unwrap();
        assert_eq!((sent.method.as_str(), sent.timeout), ("POST", Duration::from_secs(2)));
        assert_eq!(sent.header("authorization").as_deref(), header);
        assert_eq!(sent.header("accept").as_deref(), Some("application/json"));
        let expected = [
            ("grant_type", "authorization_code"),
            ("code", "c&de"),
            ("redirect_uri", "https://gateway.test/.portcullis/login/id/callback"),
            ("code_verifier", "verifier"),
        ];
        let expected = expected
            .iter()
            .chain(in_form)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(
            pairs(str::from_utf8(&sent.body).unwrap()),
            expected.collect(),
            "{authentication:?}"
        );
        assert!(!format!("{tokens:?}{client:?}{attempt:?}").contains("s:/"));
    }
}

#[test]
fn what_a_token_endpoint_answers_becomes_the_refusal_that_fits() {
    for (answer, expected) in [
        (Ok((400, r#"{"error": "invalid_grant"}"#)), "denied"),
        // GitHub says errors with 200.
        (
            Ok((200, r#"{"error": "invalid_grant", "error_description": "old"}"#)),
            "denied",
        ),
        (Ok((200, r#"{"error": "bad_verification_code"}"#)), "denied"),
        (Ok((200, r#"{"error": "incorrect_client_credentials"}"#)), "unavailable"),
        (Ok((401, r#"{"error": "invalid_client"}"#)), "unavailable"),
        (Ok((500, "<html>")), "unavailable"),
        (Ok((302, "")), "unavailable"),
        (Ok((200, "")), "unavailable"),
        (Ok((200, "{}")), "unavailable"),
        (Ok((200, r#"{"access_token": 7}"#)), "unavailable"),
        (Ok((400, r#"{"access_token": "hunter2"}"#)), "unavailable"),
        (Err(HttpError::TimedOut), "unavailable"),
        (Err(HttpError::TooLarge(1)), "unavailable"),
    ] {
        let host = FakeHost::start();
        match answer.clone() {
            Ok((status, body)) => host.answer(TOKEN, Response::new(status).with_body(body)),
            Err(error) => host.answer(TOKEN, error),
        }
        let client = Client::new("us", None);
        let refreshed = client.refresh(&provider(), "rt").unwrap_err();
        let exchanged = client.exchange(&provider(), &flow(), &Attempt::new(), "c").unwrap_err();
        assert_eq!(host.requests().len(), 2, "a code is never sent twice");
        for error in [refreshed, exchanged] {
            assert!(!error.to_string().contains("hunter2"), "{error}");
            let found = match error {
                OAuthError::Denied(_) => "denied",
                OAuthError::Unavailable(_) => "unavailable",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{answer:?}");
        }
    }
}

#[test]
fn a_provider_says_where_its_endpoints_are_and_speaks_for_itself_only() {
    let metadata = |issuer: &str| {
        format!(
            r#"{{"issuer": "{issuer}", "authorization_endpoint": "https://id.example/a", "token_endpoint": "{TOKEN}",
                "end_session_endpoint": "https://id.example/end?a=b", "authorization_response_iss_parameter_supported": true,
                "later": []}}"#
        )
    };
    let url = "https://id.example/tenant/.well-known/openid-configuration";
    let discover = || Provider::discover(ISSUER, Duration::from_secs(1));
    let host = FakeHost::start();
    host.answer(url, Response::new(200).with_body(metadata(ISSUER)));
    let found = discover().unwrap();
    assert!(found.names_itself && found.jwks_uri.is_none());
    assert_eq!(found.token_endpoint, TOKEN);
    assert_eq!(discover(), Ok(found.clone()));
    assert_eq!(host.requests().len(), 1, "it is kept");
    host.advance(Duration::from_secs(3601));
    assert_eq!(discover(), Ok(found.clone()));
    assert_eq!(host.requests().len(), 2, "for an hour");
    let end = found.end_session_url(&Client::new("us", None), Some("hint"), "https://gateway.test/out");
    assert_eq!(
        end.as_deref(),
        Some(
            "https://id.example/end?a=b&client_id=us&post_logout_redirect_uri=https%3A%2F%2Fgateway.test%2Fout&\
             id_token_hint=hint"
        )
    );
    for answer in [
        Response::new(200).with_body(metadata("https://id.example/tenant/")),
        Response::new(200).with_body(metadata("https://evil.example")),
        Response::new(200).with_body("{}"),
        Response::new(200).with_body("<html>"),
        Response::new(404),
    ] {
        let host = FakeHost::start();
        host.answer(url, answer.clone());
        let error = discover().unwrap_err();
        assert!(matches!(error, OAuthError::Unavailable(_)), "{answer:?}: {error:?}");
    }
}
