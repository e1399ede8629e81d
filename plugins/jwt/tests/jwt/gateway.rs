//! Helpers of every test. They make an authenticator from settings, ask it about a token, and check its decision.

use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::Authenticator;
use portcullis_sdk::Challenge;
use portcullis_sdk::Grant;
use portcullis_sdk::Refusal;
use portcullis_sdk::testing;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use serde_json::Value;
use serde_json::json;

use crate::mint::P256;

pub(crate) const ISSUER: &str = "https://id.example.org";
pub(crate) const AUDIENCE: &str = "https://gateway.example.org";

/// The time in every test that doesn't set another.
pub(crate) const NOW: u64 = 1_800_000_000;

/// Starts a fake gateway at [`NOW`].
pub(crate) fn host() -> FakeHost {
    let host = FakeHost::start();
    host.set_unix_seconds(NOW);
    host
}

/// Settings with one issuer whose only key is the P-256 key with the id `p256`.
pub(crate) fn settings() -> Value {
    with_keys(json!({"keys": [P256.jwk_with_id("p256")]}))
}

/// Settings with one issuer and these keys.
pub(crate) fn with_keys(jwks: Value) -> Value {
    json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": jwks}]})
}

/// The header of a token that [`settings`] accept.
pub(crate) fn header() -> Value {
    json!({"alg": "ES256", "kid": "p256"})
}

/// The claims of a token that is valid for 100 seconds.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 100, "iat": NOW - 10})
}

/// A token that [`settings`] accept.
pub(crate) fn token() -> String {
    P256.token(&header(), &claims())
}

/// Returns the JSON object with a member added or replaced.
pub(crate) fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

/// Returns the JSON object without a member.
pub(crate) fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

/// Returns the settings with one member of the issuer replaced.
pub(crate) fn with_issuer(mut settings: Value, name: &str, value: impl Into<Value>) -> Value {
    settings["issuers"][0][name] = value.into();
    settings
}

/// Makes a new authenticator, as the gateway does for every request, and asks it about a bearer token.
pub(crate) fn ask(settings: &Value, token: &str) -> Result<Grant, Refusal> {
    send(
        settings,
        RequestBuilder::get("/").header("authorization", format!("Bearer {token}")),
    )
}

/// Makes a new authenticator and asks it about any request.
pub(crate) fn send(settings: &Value, request: RequestBuilder) -> Result<Grant, Refusal> {
    let jwt = testing::configure::<Jwt>(&settings.to_string()).unwrap_or_else(|error| panic!("{error}"));
    jwt.authenticate(&request.build())
}

/// Summarizes a decision: `alice`, `401 invalid_token: the token has expired`, `403: …`, `403 insufficient_scope: …`,
/// `503: …`, `pass`.
pub(crate) fn summary(answer: Result<Grant, Refusal>) -> String {
    match answer {
        Ok(grant) => grant.user.name,
        Err(Refusal::Forbidden(reason, None)) => format!("403: {reason}"),
        Err(Refusal::Forbidden(reason, challenge)) => format!("403 {}: {reason}", error_code(challenge.as_ref())),
        Err(Refusal::NotMine(challenge)) => format!("pass {}", error_code(challenge.as_ref())).trim_end().to_owned(),
        Err(Refusal::Unauthenticated(reason, challenge)) => format!("401 {}: {reason}", error_code(challenge.as_ref())),
        Err(Refusal::Unavailable(reason)) => format!("503: {reason}"),
        Err(other) => panic!("{other:?}"),
    }
}

/// Asserts that the summary of a decision starts with this text.
#[track_caller]
pub(crate) fn expect(answer: Result<Grant, Refusal>, expected: &str) {
    let outcome = summary(answer);
    assert!(outcome.starts_with(expected), "{outcome}, not {expected}");
}

fn error_code(challenge: Option<&Challenge>) -> String {
    let challenge = challenge.expect("every refusal has a challenge");
    assert_eq!(challenge.scheme, "Bearer");
    parameter(challenge, "error").unwrap_or_default()
}

/// The value of a parameter of a challenge.
pub(crate) fn parameter(challenge: &Challenge, name: &str) -> Option<String> {
    challenge
        .parameters
        .iter()
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.clone())
}
