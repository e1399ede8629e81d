//! The login as the gateway sees it: settings, flows and notices go in, users and refusals come out. The provider is the fake one of the
//! SDK, which a test lets lie.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy recognizes test functions, but not their helpers"
)]

mod examples;
mod flow;
mod id_token;
mod logout;
mod renewal;
mod settings;

use std::collections::BTreeMap;

use portcullis_sdk::Arrival;
use portcullis_sdk::Flow;
use portcullis_sdk::Login;
use portcullis_sdk::Refusal;
use portcullis_sdk::testing;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::FakeProvider;
use serde_json::Value;
use serde_json::json;

use crate::Oidc;

const ISSUER: &str = "https://id.example/realms/a";
const CALLBACK: &str = "https://gateway.test/.portcullis/login/id/callback";

/// The time in every test that doesn't set another.
const NOW: u64 = 1_800_000_000;

fn start() -> (FakeHost, FakeProvider) {
    let host = FakeHost::start();
    host.set_unix_seconds(NOW);
    let provider = FakeProvider::openid(&host, ISSUER);
    (host, provider)
}

fn settings() -> Value {
    json!({ "issuer": ISSUER, "client_id": "us", "client_secret": "s3cret" })
}

/// The settings with these changes.
fn with(changes: Value) -> Value {
    let mut settings = settings();
    let Value::Object(changes) = changes else {
        panic!("{changes}");
    };
    settings.as_object_mut().unwrap().extend(changes);
    settings
}

fn configured(settings: &Value) -> Oidc {
    testing::configure(&settings.to_string()).unwrap_or_else(|error| panic!("{error}: {settings}"))
}

/// A login with the [settings] and these changes.
fn login(changes: Value) -> Oidc {
    configured(&with(changes))
}

fn flow() -> Flow {
    Flow::new("state", CALLBACK)
}

/// The parameters of a URL or a form.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let pairs = query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    });
    pairs.collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// What becomes of a login: the user's name, or the kind of the refusal and why.
fn outcome(result: Result<Arrival, Refusal>) -> String {
    match result {
        Ok(arrival) => arrival.user.name,
        Err(refusal) => refused(refusal),
    }
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unauthenticated(why, None) => format!("401 {why}"),
        Refusal::Forbidden(why, None) => format!("403 {why}"),
        Refusal::Unavailable(why) => format!("503 {why}"),
        Refusal::NotMine(None) => "not mine".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Asserts that the outcome begins with the first word of `expected` and has what follows it.
#[track_caller]
fn expect(found: &str, expected: &str, case: &str) {
    let (kind, part) = expected.split_once(' ').unwrap_or((expected, ""));
    assert!(
        found.starts_with(kind) && found.contains(part),
        "{case}: {found}, not {expected}"
    );
    assert!(!found.contains("s3cret"), "{found}");
}
