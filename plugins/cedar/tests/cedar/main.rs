//! The authorizer with policies of all kinds: what it decides, what it asks for, and what it says of policies that are wrong.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are tests, but clippy exempts only the test functions"
)]

mod decisions;
mod entities;
mod large;
mod mistakes;
#[path = "../oracle/mod.rs"]
mod oracle;
mod reads;
mod same;

use portcullis_plugin_cedar::Cedar;
use portcullis_sdk::Denial;
use portcullis_sdk::Permit;
use portcullis_sdk::Principal;
use portcullis_sdk::Request;
use portcullis_sdk::User;
use portcullis_sdk::prelude::Authorizer;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure_authorizer;
use serde_json::Value;
use serde_json::json;

fn cedar(settings: Value) -> Cedar {
    configure_authorizer(&settings.to_string()).unwrap()
}

fn with(policies: &str) -> Cedar {
    cedar(json!({ "policies": policies }))
}

/// What the operator reads about settings that are wrong.
fn refused(settings: Value) -> Vec<String> {
    let error = configure_authorizer::<Cedar>(&settings.to_string()).err();
    error.expect("it is accepted").lines().map(str::to_owned).collect()
}

fn user(name: &str, groups: &[&str]) -> Principal {
    Principal::new(User::new(name).with_groups(groups.iter().copied()), "people")
}

fn ask(cedar: &Cedar, method: &str, path: &str, principal: &Principal) -> Result<Permit, Denial> {
    cedar.authorize(&request(method, path), principal)
}

fn request(method: &str, path: &str) -> Request {
    RequestBuilder::new(method, path).client_address("192.0.2.7").build()
}

/// The reason of a 403.
fn forbidden(answer: Result<Permit, Denial>) -> String {
    match answer {
        Err(Denial::Forbidden(reason, None)) => reason,
        other => panic!("{other:?}"),
    }
}
